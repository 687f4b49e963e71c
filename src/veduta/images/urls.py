"""A URL is parsed once, strictly, into what is connected to and what is sent; nothing later reads the text again.

Two parsers that disagree are how a check gets passed and something else gets fetched, so what URLs are commonly
disguised with is refused, not repaired: user names, backslashes, white space, control characters, percent signs in the
host. Names in other scripts, and what only looks like digits, are mapped as browsers do (UTS 46) and judged after that.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Container
from dataclasses import dataclass
from ipaddress import IPv6Address
from urllib.parse import quote, urljoin

from veduta.errors import FetchRefused
from veduta.images.limits import printable

MAX_URL_LENGTH = 8_000
_MAX_HOST_LENGTH = 253

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)([^?#]*)(?:\?([^#]*))?(?:#.*)?", re.DOTALL)
_AUTHORITY = re.compile(r"(\[[^\[\]]*\]|[^:\[\]]*)(?::([0-9]{1,5}))?")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_PATH_SAFE = "%/:@!$&'()*+,;=~"
_QUERY_SAFE = _PATH_SAFE + "?[]{}|^`"
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class WebAddress:
    """A parsed URL: ``host`` in lower-case ASCII (an IPv6 address without brackets), ``target`` is path and query."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def authority(self) -> str:
        """The Host header: the name, and the port where it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.target}"

    @property
    def shown(self) -> str:
        """The address in a sentence, without the query, which may hold a key."""
        path, mark, _ = self.target.partition("?")
        text = f"{self.scheme}://{self.authority}{path}"
        return (text if len(text) <= 200 else text[:200] + "…") + ("?…" if mark else "")


def parse(url: str, ports: Container[int] = (80, 443)) -> WebAddress:
    """Parse an absolute http or https URL. Raises FetchRefused, which names what is not allowed."""
    if len(url) > MAX_URL_LENGTH:
        raise FetchRefused(f"The URL {shown(url)} has {len(url):,} characters, at most {MAX_URL_LENGTH:,} are allowed.")
    for char in url:
        if char.isspace() or char == "\\" or unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp", "Zs"):
            raise _refused(url, f"contains {char!a}, which no URL may: write it percent-encoded, or leave it out")
    parts = _URL.fullmatch(url)
    if parts is None:
        raise _refused(url, "is not a whole URL such as https://example.org/photo.jpg")
    scheme, authority, path, query = parts[1].lower(), parts[2], parts[3], parts[4]
    if scheme not in _DEFAULT_PORTS:
        raise _refused(url, "begins with another scheme than http and https")
    host, port = _host_and_port(url, authority, _DEFAULT_PORTS[scheme])
    if port not in ports:
        raise _refused(url, f"asks for port {port}, which is not among those allowed")
    target = quote(path or "/", safe=_PATH_SAFE)
    if query is not None:
        target += "?" + quote(query, safe=_QUERY_SAFE)
    return WebAddress(scheme, host, port, target)


def redirected(base: WebAddress, location: str, ports: Container[int]) -> WebAddress:
    """Where a Location header leads from ``base``, parsed as strictly as any URL. Raises FetchRefused."""
    try:
        # urljoin drops tabs, line ends and leading spaces without a word, so they are looked for first.
        if any(ord(char) <= 0x20 or char == "\\" for char in location):
            raise ValueError
        joined = urljoin(str(base), location)
    except ValueError:
        raise FetchRefused(
            f"{base.shown} redirects to {shown(location)}, which is no URL: the redirect is not followed."
        ) from None
    return parse(joined, ports)


def shown(url: str) -> str:
    """A URL of unknown form in a sentence: one short line, without user name, password or query."""
    text = re.sub(r"//[^/?#]*@", "//…@", url[:1_000])
    head, mark, _ = text.partition("?")
    return printable(head if len(head) <= 200 else head[:200] + "…") + ("?…" if mark else "")


def _host_and_port(url: str, authority: str, default: int) -> tuple[str, int]:
    if "@" in authority:
        raise _refused(url, "holds a user name, which is never sent: leave it out")
    parts = _AUTHORITY.fullmatch(authority)
    if parts is None:
        raise _refused(url, "has a host or port that can't be read")
    port = default if parts[2] is None else int(parts[2])
    if not 1 <= port <= 65_535:
        raise _refused(url, f"asks for port {port}, and ports go from 1 to 65535")
    return _host(url, parts[1]), port


def _host(url: str, text: str) -> str:
    if text.startswith("["):
        try:
            # A zone (%eth0) names a network card of this machine; no public address has one.
            return str(IPv6Address("" if "%" in text else text[1:-1]))
        except ValueError:
            raise _refused(url, "has brackets around something else than an IPv6 address") from None
    host = text.lower() if text.isascii() else _mapped(url, text)
    host = host.removesuffix(".")
    if not host:
        raise _refused(url, "names no host")
    if len(host) > _MAX_HOST_LENGTH or not all(_LABEL.fullmatch(label) for label in host.split(".")):
        raise _refused(url, "has a host name that no server can have")
    return host


def _mapped(url: str, host: str) -> str:
    import idna

    try:
        if len(host) > _MAX_HOST_LENGTH:
            raise idna.IDNAError
        return idna.encode(host, uts46=True, std3_rules=True).decode("ascii").lower()
    except (idna.IDNAError, UnicodeError):
        raise _refused(url, "has a host name that no server can have") from None


def _refused(url: str, reason: str) -> FetchRefused:
    return FetchRefused(f"The URL {shown(url)} {reason}.")
