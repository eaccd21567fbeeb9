"""Figures of matplotlib as PNG. What the backend does with those of pyplot stands in `matplotlib_backend`."""

from os import environ
from weakref import WeakSet

from .wire import SEND_LIMIT

__builtins__ = __builtins__.copy()

# A module that matplotlib asks for its canvas.
BACKEND = f"module://{__package__}.matplotlib_backend"

# Base64 makes four bytes of three; the rest of a message has room for the text form.
PNG_LIMIT = (SEND_LIMIT - 8_192) * 3 // 4

# A picture that does not fit a message is drawn again with half the resolution, down to an eighth.
SHRINKINGS = (1, 2, 4, 8)

# Figures that this run has displayed.
displayed = WeakSet()


def load_matplotlib(usual, module):
    """Names the backend in the variable that is meant for it, for as long as matplotlib looks.

    Programs that the user starts inherit the environment. They could not load this backend, and find by
    themselves the one that needs no display.
    """
    named = "MPLBACKEND" in environ
    if not named:
        environ["MPLBACKEND"] = BACKEND
    try:
        usual(module)
    finally:
        if not named:
            environ.pop("MPLBACKEND", None)


def load_figure(usual, module):
    usual(module)
    module.Figure._repr_png_ = draw


def draw(figure):
    """The figure as PNG that fits a message, or None."""
    from io import BytesIO

    displayed.add(figure)
    for shrinking in SHRINKINGS:
        png = BytesIO()
        figure.savefig(png, format="png", dpi=figure.dpi / shrinking, bbox_inches="tight")
        if png.tell() <= PNG_LIMIT:
            return png.getvalue()
    return None
