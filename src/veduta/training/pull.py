"""Published weights, from their authors' address to a model in the store."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from veduta.errors import OutputError, UsageError
from veduta.images.preprocess import Preprocessing
from veduta.models.bundle import Bundle
from veduta.models.store import home
from veduta.training.catalogue import Published, published
from veduta.training.convert import check_name, convert, labels_named
from veduta.training.downloads import Downloaded, OnBytes, bytes_in_cache, cache, download
from veduta.training.networks import find_architecture

if TYPE_CHECKING:
    from veduta.images.fetch import Fetcher


@dataclass(frozen=True, slots=True)
class Watch:
    """What a long pull tells its caller: bytes on disk and in all, and what it does next."""

    bytes: OnBytes = lambda _done, _total: None
    stage: Callable[[str], None] = lambda _words: None


def pull(
    name: str,
    *,
    bundle_name: str | None = None,
    sha256: str | None = None,
    mirror: str | None = None,
    photos: Sequence[Path] = (),
    overwrite: bool = False,
    fetcher: Fetcher | None = None,
    watch: Watch | None = None,
) -> Bundle:
    """Download published weights and make a model of them, in the store under ``bundle_name`` or their own name.

    ``sha256`` and ``mirror`` are those of ``downloads.download``; the graph is checked against torch on made images
    and on ``photos``.

    Raises UsageError for a name that is not known or taken and for weights that only a training can use, OutputError
    where there is no room, and what ``download`` and ``convert`` raise.
    """
    entry = published(name)
    if entry.labels is None:
        raise UsageError(
            f"{entry.name} has no classifier for labels that are known, so no model can be made of it; a training can "
            f"start from it: `veduta train DATA --weights hub:{entry.name}`."
        )
    watch = watch or Watch()
    target = bundle_name or entry.name
    check_name(target, overwrite)
    _check_room(entry)
    watch.stage(f"downloading {entry.file_name}")
    found = download(entry, sha256=sha256, mirror=mirror, fetcher=fetcher, on_bytes=watch.bytes)
    return convert(
        found.path,
        architecture=entry.architecture,
        labels=labels_named(entry.labels),
        name=target,
        preprocessing=preprocessing(entry),
        source=_source(entry, found),
        license=entry.license,
        photos=photos,
        overwrite=overwrite,
        on_stage=watch.stage,
    )


def fetch_weights(
    name: str,
    *,
    sha256: str | None = None,
    mirror: str | None = None,
    fetcher: Fetcher | None = None,
    on_bytes: OnBytes | None = None,
) -> Downloaded:
    """The file of published weights, downloaded once, for a training to start from. Raises as ``pull`` does."""
    return download(published(name), sha256=sha256, mirror=mirror, fetcher=fetcher, on_bytes=on_bytes)


def preprocessing(entry: Published) -> Preprocessing:
    """The resize and crop that the authors measured with."""
    usual = find_architecture(entry.architecture).preprocessing
    return Preprocessing("crop", usual.sizes, entry.filter, entry.short_side or usual.short_side)


def _source(entry: Published, found: Downloaded) -> str:
    accuracy = f" Published top-1 accuracy on its validation photos: {entry.accuracy} %." if entry.accuracy else ""
    return f"{entry.source} File: {entry.address}, SHA-256 `{found.sha256}`.{accuracy}"


def _check_room(entry: Published) -> None:
    """Graph and weights take as much as the file, both in float16, and a copy while they are written.

    The file itself comes on top, as far as it is still to come, where the cache lies on the same disk; on another one
    the download looks for its own room.
    """
    store, kept = _nearest(home()), _nearest(cache())
    needed, free = 2 * entry.megabytes, shutil.disk_usage(store).free // 10**6
    if store.stat().st_dev == kept.stat().st_dev:
        needed += max(0, entry.megabytes - bytes_in_cache(entry) // 10**6)
    if free < needed:
        raise OutputError(f"{store}: has {free:,} MB free, and {entry.name} needs {needed:,}; make room first.")


def _nearest(folder: Path) -> Path:
    """The folder, or the one above it that is there."""
    return next(each for each in (folder, *folder.parents) if each.is_dir())
