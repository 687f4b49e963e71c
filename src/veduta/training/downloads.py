"""Files of weights from the internet, the same every time: the first download is recorded, and enforced after it.

The files lie in ``downloads`` in the user's cache folder and may be deleted; what their SHA-256 was lies beside the
store of models, in ``downloads.json``.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from veduta.errors import FetchAltered, OutputError, UsageError
from veduta.models.store import home
from veduta.training.catalogue import Published

if TYPE_CHECKING:
    from veduta.images.fetch import Fetcher

_MOST_BYTES = 2**20
_SHA256 = re.compile(r"[0-9a-f]{64}")

#: Bytes on disk, and bytes in all where that is known.
OnBytes = Callable[[int, int | None], None]


@dataclass(frozen=True, slots=True)
class Downloaded:
    """A whole file on this disk and the SHA-256 of its bytes."""

    path: Path
    sha256: str


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hex. Raises OutputError where it can't be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise OutputError(f"{path}: can't be read ({error.strerror}); check its permissions.") from error


def cache() -> Path:
    """Where downloads lie: ``downloads`` in the folder named by VEDUTA_CACHE, else in the user's cache folder."""
    chosen = os.environ.get("VEDUTA_CACHE")
    folder = Path(chosen).expanduser() if chosen else platformdirs.user_cache_path("veduta", appauthor=False)
    return folder / "downloads"


def records() -> Path:
    """The list of what was downloaded, address by address; it need not exist yet."""
    return home().with_name("downloads.json")


def download(
    entry: Published,
    *,
    sha256: str | None = None,
    mirror: str | None = None,
    fetcher: Fetcher | None = None,
    on_bytes: OnBytes | None = None,
) -> Downloaded:
    """The file of an entry: from the cache where it is whole there, else from its address, going on where it was cut.

    ``sha256`` is what the user knows it to be; without it the one recorded at the first download holds, and the first
    download itself is checked against the digits that the authors put into the file's name, where they did. ``mirror``
    is the address of a folder that has the same file.

    Raises FetchAltered where the content is another, UsageError for a SHA-256 that can't be one or contradicts the
    record, OutputError where the disk is full or not writable, and what ``Fetcher.download`` raises.
    """
    known = _expected(entry, sha256)
    folder = cache()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"{folder}: can't be made ({error.strerror}); name another folder in VEDUTA_CACHE."
        ) from error
    target = folder / entry.file_name
    if known is not None and target.is_file() and sha256_of(target) == known:
        _record(entry.address, known)
        return Downloaded(target, known)
    address = entry.address if mirror is None else f"{mirror.rstrip('/')}/{entry.file_name}"
    if fetcher is not None:
        path = fetcher.download(address, target, sha256=known, on_progress=on_bytes)
    else:
        from veduta.images.fetch import Fetcher

        with Fetcher() as own:
            path = own.download(address, target, sha256=known, on_progress=on_bytes)
    if known is None:
        known = _first_digest(path, entry, address)
    _record(entry.address, known)
    return Downloaded(path, known)


def _expected(entry: Published, given: str | None) -> str | None:
    known = _read().get(entry.address)
    if given is None:
        return known
    given = given.lower()
    if not _SHA256.fullmatch(given):
        raise UsageError(f"the SHA-256 {given[:80]!a} has not 64 hexadecimal digits; give all of them.")
    if known is not None and known != given:
        raise UsageError(
            f"{entry.file_name}: its first download had the SHA-256 {known}, not {given}; if that one was wrong, "
            f"remove its line from {records()}."
        )
    return given


def _first_digest(path: Path, entry: Published, address: str) -> str:
    digest = sha256_of(path)
    if entry.hash_prefix is not None and not digest.startswith(entry.hash_prefix):
        path.unlink(missing_ok=True)
        raise FetchAltered(
            f"{address}: its SHA-256 begins with {digest[: len(entry.hash_prefix)]}, its name says "
            f"{entry.hash_prefix}; nothing was kept, try again or name another mirror."
        )
    return digest


def _read() -> dict[str, str]:
    path = records()
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise OutputError(f"{path}: can't be read ({error.strerror}); check its permissions.") from error
    try:
        found = json.loads(data) if len(data) <= _MOST_BYTES else None
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or not all(
        isinstance(value, str) and _SHA256.fullmatch(value) for value in found.values()
    ):
        raise UsageError(f"{path}: is no list of addresses with the SHA-256 of each; correct or remove it.")
    return found


def _record(address: str, digest: str) -> None:
    known = _read()
    if known.get(address) == digest:
        return
    path = records()
    text = json.dumps(known | {address: digest}, indent=2, sort_keys=True) + "\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", dir=path.parent, prefix=".downloads-", delete=False
        ) as file:
            file.write(text)
        Path(file.name).replace(path)
    except OSError as error:
        raise OutputError(
            f"{path}: can't be written ({error.strerror}); without it a change would go unseen."
        ) from error
