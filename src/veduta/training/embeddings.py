"""Embeddings of photos and of changed views of them, computed once and kept."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from veduta.datasets.reading import read_readable
from veduta.errors import UsageError
from veduta.models.bundle import Bundle
from veduta.models.session import Session
from veduta.records import Failure
from veduta.training.augment import Augmentation, augment
from veduta.whole_file import write_whole

#: How views differ from the photo.
VIEWS = Augmentation(min_area=0.4, filter="bilinear")

_BATCH = 64


@dataclass(frozen=True, slots=True, eq=False)
class Embedded:
    """Embeddings float32 ``[k, 1 + views, d]`` of the k photos that can be read, first as they are, then changed.

    ``kept`` ``[n]`` is true for these among all n; ``failures`` tell why the others can't be, empty where the
    embeddings were kept from an earlier run.
    """

    values: NDArray[np.float32]
    kept: NDArray[np.bool_]
    failures: tuple[Failure, ...] = ()


def embed_views(
    paths: Sequence[str],
    bundle: Bundle,
    *,
    views: int,
    seed: int = 0,
    cache: Path | None = None,
    on_photo: Callable[[int, int], None] = lambda _done, _all: None,
) -> Embedded:
    """Embed photos and ``views`` changed views of each, drawn by (seed, view, place).

    ``cache`` is a file that keeps them: where it is of the same photos (by path, size and time), model and views,
    nothing is computed. ``on_photo`` is told photos done and photos in all.
    Raises UsageError for a model without an embedding, or where no photo can be read; OutputError for the cache.
    """
    if bundle.embedding is None:
        raise UsageError(f"{bundle.name} gives no embedding to learn from; choose another model.")
    key = _key(paths, bundle, views, seed)
    known = None if cache is None else _from_cache(cache, key)
    if known is not None:
        return known
    read = read_readable(paths, bundle.preprocessing)
    pixels = read.pixels
    assert pixels is not None
    if not len(pixels):
        raise UsageError(f"none of {len(paths)} photos can be read; the first: {read.failures[0].message}")
    session, name = Session(bundle.graph), bundle.embedding.name
    values = np.empty((len(pixels), 1 + views, bundle.embedding.size), np.float32)
    for first in range(0, len(pixels), _BATCH):
        part = slice(first, min(first + _BATCH, len(pixels)))
        for view in range(1 + views):
            changed = [
                pixels[place] if not view else augment(pixels[place], pixels.shape[1], VIEWS, (seed, view, place))
                for place in range(part.start, part.stop)
            ]
            values[part, view] = session.run(changed, [name])[name]
        on_photo(part.stop, len(pixels))
    if cache is not None:
        file = io.BytesIO()
        np.savez(file, key=np.array(key), values=values, kept=read.kept)
        write_whole(cache, file.getvalue())
    return Embedded(values, read.kept, read.failures)


def _key(paths: Sequence[str], bundle: Bundle, views: int, seed: int) -> str:
    told = hashlib.sha256(f"{bundle.embedding_id} {views} {seed} {VIEWS}".encode())
    for path in paths:
        status = Path(path).stat() if Path(path).exists() else None
        stamp = "" if status is None else f"{status.st_size} {status.st_mtime_ns}"
        told.update(f"\0{path}\0{stamp}".encode("utf-8", "surrogateescape"))
    return told.hexdigest()


def _from_cache(cache: Path, key: str) -> Embedded | None:
    try:
        with cache.open("rb") as file, np.load(file, allow_pickle=False) as known:
            if str(known["key"]) == key:
                return Embedded(known["values"], known["kept"])
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile):
        pass  # something else, or damaged: it is written anew
    return None
