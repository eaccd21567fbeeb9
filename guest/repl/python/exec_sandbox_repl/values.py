"""Displayed values: an object becomes a MIME bundle that fits one message."""

from _json import encode_basestring, encode_basestring_ascii
from binascii import b2a_base64

from .wire import SEND_LIMIT

__builtins__ = __builtins__.copy()

PLAIN = "text/plain"

# Characters of text/plain that are kept. At most 6 bytes each in JSON (`\u0000`), so this fits beside
# nothing else in the worst case, and beside rich forms in the usual one.
PLAIN_LIMIT = 65_536

# What IPython's formatters look for, with the MIME type that each method's answer has.
RICH_METHODS = (
    ("_repr_html_", "text/html"),
    ("_repr_markdown_", "text/markdown"),
    ("_repr_latex_", "text/latex"),
    ("_repr_svg_", "image/svg+xml"),
    ("_repr_png_", "image/png"),
    ("_repr_jpeg_", "image/jpeg"),
    ("_repr_pdf_", "application/pdf"),
    ("_repr_json_", "application/json"),
    ("_repr_javascript_", "application/javascript"),
)


def encode_text(text):
    """A JSON string in UTF-8."""
    try:
        return encode_basestring(text).encode("utf-8")
    except UnicodeEncodeError:
        return encode_basestring_ascii(text).encode("ascii")  # Lone surrogates can only be escaped.


def shorten(text, limit):
    if len(text) <= limit:
        return text
    return f"{text[:limit]}\n[truncated: {limit} of {len(text)} characters]"


def encode_bundle(value):
    """The payload of an `O` message for any object.

    Whatever `repr(value)` raises is raised, as in the interactive interpreter; a rich form that fails is
    only missing.
    """
    forms = _rich_forms(value)
    if not isinstance(forms.get(PLAIN), str):
        forms[PLAIN] = _plain(value)
    return encode_raw(forms)


def encode_raw(forms):
    """The payload of an `O` message from MIME types and data. What does not fit is left out, the text last."""
    parts = []
    size = 2
    plain = forms.get(PLAIN)
    if isinstance(plain, str):
        forms = {PLAIN: shorten(plain, PLAIN_LIMIT)} | {mime: data for mime, data in forms.items() if mime != PLAIN}
    for mime, data in forms.items():
        part = _encode_form(mime, data)
        if part is not None and size + len(part) + 2 <= SEND_LIMIT:
            parts.append(part)
            size += len(part) + 2
    return b"{" + b", ".join(parts) + b"}"


def _plain(value):
    text = repr(value)
    return text if type(text) is str else str(text)


def _rich_forms(value):
    forms = {}
    # Looked up on the type, as special methods are: an instance that answers any attribute (a mock, a
    # proxy) has no rich form, nor does a class whose instances have one.
    kind = type(value)
    bundle = _call(kind, value, "_repr_mimebundle_", include=None, exclude=None)
    if isinstance(bundle, dict):
        forms.update(bundle)
    for name, mime in RICH_METHODS:
        if mime not in forms:
            data = _call(kind, value, name)
            if data is not None:
                forms[mime] = data
    return forms


def _call(kind, value, name, **arguments):
    try:
        method = getattr(kind, name, None)
        answer = None if method is None else method(value, **arguments)
        return answer[0] if isinstance(answer, tuple) else answer  # (data, metadata)
    except Exception:
        return None


def _encode_form(mime, data):
    try:
        if isinstance(data, bytes):
            data = b2a_base64(data, newline=False).decode("ascii")
        if isinstance(data, str):
            if len(data) > SEND_LIMIT:
                return None
            encoded = encode_text(str(data))
        else:
            from json import dumps

            encoded = dumps(data, allow_nan=False).encode("ascii")
        return encode_text(str(mime)) + b": " + encoded
    except Exception:
        return None
