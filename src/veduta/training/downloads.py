"""Files of weights from the internet, the same every time: the first download is recorded, and enforced after it.

The files lie in ``downloads`` in the user's cache folder and may be deleted; what their SHA-256 was lies beside the
store of models, in ``downloads.json``.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from veduta.errors import FetchAltered, OutputError, UsageError
from veduta.images.part_file import claim, part_of
from veduta.models.store import home
from veduta.training.catalogue import Published
from veduta.whole_file import not_written, write_whole

if TYPE_CHECKING:
    from veduta.images.fetch import Fetcher

_MOST_BYTES = 2**20
_SHA256 = re.compile(r"[0-9a-f]{64}")
_ADVICE = "without it a change of the file would go unseen: check its space and permissions"

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


def bytes_in_cache(entry: Published) -> int:
    """How much of the entry's file lies in the cache, whole or in part."""
    target = cache() / entry.file_name
    size = 0
    for path in (target, part_of(target)):
        with suppress(OSError):
            size = max(size, path.stat().st_size)
    return size


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
    download itself is checked against the digits that the catalogue has, where it has some. ``mirror`` is the address
    of a folder that has the same file. Whoever comes second to a whole file asks nobody and waits for nothing; while it
    is still being downloaded by another, the second is refused.

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
        _record(entry.address, known, target)
        return Downloaded(target, known)
    address = entry.address if mirror is None else f"{mirror.rstrip('/')}/{entry.file_name}"
    try:
        path = _fetched(address, target, known, fetcher, on_bytes)
    except FetchAltered as error:
        if sha256 is not None:
            raise
        raise _unlike_the_first(error) from error
    if known is None:
        known = _first_digest(path, entry, address)
    _record(entry.address, known, path)
    return Downloaded(path, known)


def _fetched(address: str, target: Path, sha256: str | None, fetcher: Fetcher | None, on_bytes: OnBytes | None) -> Path:
    if fetcher is not None:
        return fetcher.download(address, target, sha256=sha256, on_progress=on_bytes)
    from veduta.images.fetch import Fetcher

    with Fetcher() as own:
        return own.download(address, target, sha256=sha256, on_progress=on_bytes)


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
            f"{address}: its SHA-256 begins with {digest[: len(entry.hash_prefix)]}, and not with "
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


def _record(address: str, digest: str, path: Path) -> None:
    """Remember what the file at ``path`` is, unless that is known. Raises FetchAltered, OutputError, UsageError."""
    if _read().get(address) == digest:
        return  # also where the list is read-only
    with _alone():
        known = _read()
        expected = known.setdefault(address, digest)
        if expected == digest:
            text = json.dumps(known, indent=2, sort_keys=True) + "\n"
            write_whole(records(), text.encode(), advice=_ADVICE)
            return
    with suppress(OSError):
        path.unlink()
    altered = f"{address} has the SHA-256 {digest}, expected was {expected}: nothing was kept."
    raise _unlike_the_first(FetchAltered(altered))


def _unlike_the_first(error: FetchAltered) -> FetchAltered:
    """The same error, with where the expected hash comes from and how to accept another."""
    return FetchAltered(
        f"{error} The expected one was recorded at its first download: if the authors have really replaced the file, "
        f"remove its line from {records()}."
    )


@contextmanager
def _alone() -> Iterator[None]:
    """Nobody else changes the list meanwhile. Raises OutputError."""
    path = records()
    lock = path.with_name(path.name + ".lock")
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        file = lock.open("ab")
    except OSError as error:
        raise not_written(path, error, _ADVICE) from error
    with file:
        claim(file, wait=True)
        yield
