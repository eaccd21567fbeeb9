"""Prints which hosts an index names for its files, and where it redirects to.

The argument is JSON: {"language", "indexes": [{"url", "authorization"?, "insecure"?, "names": [...]}]}. The answer, too:
{"hosts": [[scheme, host, port], ...]}. What goes wrong is left out: the installer meets it again, and says so.
"""

import html.parser
import json
import ssl
import sys
import urllib.error
import urllib.parse
import urllib.request

MOST_BYTES = 64 << 20
MOST_HOSTS = 16
DEFAULT_PORTS = {"https": 443, "http": 80}


class Links(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attributes):
        if tag == "a":
            self.found += [value for name, value in attributes if name == "href" and value]


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


def page_of(language, index, name):
    base = index["url"].rstrip("/")
    return f"{base}/{name}/" if language == "python" else f"{base}/{name.replace('/', '%2f')}"


def fetch(url, index):
    """The URLs on a page, or the one that it redirects to."""
    context = ssl._create_unverified_context() if index.get("insecure") else ssl.create_default_context()
    opener = urllib.request.build_opener(NoRedirect, urllib.request.HTTPSHandler(context=context))
    headers = {
        "Accept": "application/vnd.pypi.simple.v1+json, application/vnd.npm.install-v1+json, text/html;q=0.5, */*;q=0.1",
        "User-Agent": "exec-sandbox",
    }
    if "authorization" in index:
        headers["Authorization"] = index["authorization"]
    parts = urllib.parse.urlsplit(url)
    bare = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    try:
        with opener.open(urllib.request.Request(bare, headers=headers), timeout=60) as response:
            body = response.read(MOST_BYTES)
            kind = response.headers.get_content_type()
    except urllib.error.HTTPError as error:
        location = error.headers.get("Location")
        return ([], urllib.parse.urljoin(bare, location)) if location else ([], None)
    if kind.endswith("json"):
        about = json.loads(body)
        files = [file.get("url") for file in about.get("files", [])]
        files += [version.get("dist", {}).get("tarball") for version in about.get("versions", {}).values()] if isinstance(
            about.get("versions"), dict
        ) else []
    else:
        links = Links()
        links.feed(body.decode("utf-8", "replace"))
        files = links.found
    return [urllib.parse.urljoin(bare, file) for file in files if isinstance(file, str)], None


def main():
    request = json.loads(sys.argv[1])
    hosts = {}
    for index in request["indexes"]:
        for name in index["names"]:
            try:
                files, redirect = fetch(page_of(request["language"], index, name), index)
            except (OSError, ValueError):
                continue
            for url in [*files, *([redirect] if redirect else [])]:
                parts = urllib.parse.urlsplit(url)
                if parts.scheme in DEFAULT_PORTS and parts.hostname:
                    hosts[parts.scheme, parts.hostname, parts.port or DEFAULT_PORTS[parts.scheme]] = None
            if files or redirect:
                break
    print(json.dumps({"hosts": [list(host) for host in hosts][:MOST_HOSTS]}))


main()
