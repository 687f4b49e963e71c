"""The address of a server, and the key for it, as a user gave them."""

from __future__ import annotations

from urllib.parse import urlsplit

from veduta.client.values import one_line
from veduta.errors import UsageError

_WANTED = "give one like http://127.0.0.1:8000, with a path where a proxy keeps the server behind one"


def server_address(url: str) -> str:
    """The address without a slash at its end. Raises UsageError where it is none of a server."""
    shown = one_line(str(url), 200)
    try:
        parts = urlsplit(url)
        _ = parts.port  # read only when asked for
    except (ValueError, AttributeError):
        raise UsageError(f"The address {shown!r} can't be read: {_WANTED}.") from None
    if parts.username is not None:
        # Not shown: it may hold a password.
        raise UsageError("The address has a user name in it, which is not sent: give the server's key as api_key.")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(f"The address {shown!r} is neither http nor https: {_WANTED}.")
    if parts.query or parts.fragment or not url.isascii() or not url.isprintable() or " " in url:
        raise UsageError(f"The address {shown!r} is more than host, port and path in ASCII: {_WANTED}.")
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"


def checked_key(key: str | None) -> str | None:
    """The key, which must fit into a header. Raises UsageError, in which the key is not shown."""
    if key is not None and not (key and key.isascii() and key.isprintable() and " " not in key):
        raise UsageError("The api_key can't be sent: it must be one word of printable ASCII characters.")
    return key
