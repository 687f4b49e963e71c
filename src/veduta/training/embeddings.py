"""Embeddings of photos and of changed views of them, computed once and kept."""

from __future__ import annotations

import hashlib
import io
import os
import zipfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from veduta.datasets.reading import read_readable
from veduta.errors import UsageError
from veduta.images.decode import DECODER_VERSION
from veduta.images.preprocess import Preprocessing
from veduta.models.bundle import Bundle
from veduta.models.session import Session
from veduta.models.threads import available_threads
from veduta.records import Failure
from veduta.training.augment import Augmentation, augment
from veduta.whole_file import write_whole

#: How views differ from the photo.
VIEWS = Augmentation(min_area=0.4, filter="bilinear")

# Photos that are in memory at once.
_PART = 256


@dataclass(frozen=True, slots=True, eq=False)
class Embedded:
    """Embeddings float32 ``[k, 1 + views, d]`` of the k photos that can be read, first as they are, then changed.

    ``kept`` ``[n]`` is true for these among all n; ``failures`` tell why the others can't be.
    """

    values: NDArray[np.float32]
    kept: NDArray[np.bool_]
    failures: tuple[Failure, ...]


def embed_views(
    paths: Sequence[str],
    bundle: Bundle,
    wanted: Preprocessing,
    *,
    views: int,
    seed: int = 0,
    cache: Path | None = None,
    on_photo: Callable[[int, int], None] = lambda _done, _all: None,
) -> Embedded:
    """Embed photos, seen as ``wanted``, and ``views`` changed views of each, drawn by (seed, view, place).

    ``cache`` is a file that keeps them: where it is of the same photos (by path, size and time), model and views,
    nothing is computed. ``on_photo`` is told photos done and photos in all.
    Raises UsageError for a model without an embedding, or where no photo can be read; BundleIncompatible where the
    model can't see such photos; OutputError for the cache.
    """
    if bundle.embedding is None:
        raise UsageError(f"{bundle.name} gives no embedding to learn from; choose another model.")
    key = _key(paths, bundle, wanted, views, seed)
    known = None if cache is None else _from_cache(cache, key, paths, wanted)
    if known is not None:
        return known
    session, name = Session(bundle.graph), bundle.embedding.name
    session.prepare(*wanted.sizes[0], [name])
    values = np.empty((len(paths), 1 + views, bundle.embedding.size), np.float32)
    kept, failures = np.zeros(len(paths), bool), list[Failure]()
    with ThreadPoolExecutor(available_threads()) as pool:
        for first in range(0, len(paths), _PART):
            read = read_readable(paths[first : first + _PART], wanted)
            assert read.pixels is not None
            places = first + np.flatnonzero(read.kept)
            for view in range(1 + views):
                seen = list(pool.map(_seen, read.pixels, [(seed, view, int(place)) for place in places]))
                values[places, view] = session.run(seen, [name])[name]
            kept[places] = True
            failures.extend(read.failures)
            on_photo(first + len(read.kept), len(paths))
    if not kept.any():
        raise UsageError(f"none of {len(paths)} photos can be read; the first: {failures[0].message}")
    values = values[kept]
    if cache is not None:
        file = io.BytesIO()
        np.savez(file, key=np.array(key), values=values, kept=kept)
        write_whole(cache, file.getvalue())
    return Embedded(values, kept, tuple(failures))


def _seen(pixels: NDArray[np.uint8], draw: tuple[int, int, int]) -> NDArray[np.uint8]:
    """A photo as it is for view 0 of ``draw`` (seed, view, place), else changed."""
    return augment(pixels, pixels.shape[1], VIEWS, draw) if draw[1] else pixels


def _key(paths: Sequence[str], bundle: Bundle, wanted: Preprocessing, views: int, seed: int) -> str:
    told = hashlib.sha256(f"{bundle.embedding_id} {DECODER_VERSION} {wanted} {views} {seed} {VIEWS}".encode())
    for path in paths:
        try:
            status = os.stat(path)  # noqa: PTH116  a Path for each takes longer
            stamp = f"{status.st_size} {status.st_mtime_ns}"
        except (OSError, ValueError):
            stamp = ""
        told.update(f"\0{path}\0{stamp}".encode("utf-8", "surrogateescape"))
    return told.hexdigest()


def _from_cache(cache: Path, key: str, paths: Sequence[str], wanted: Preprocessing) -> Embedded | None:
    """What was kept; None where there is nothing of this, or a photo that could not be decoded then can be now."""
    try:
        with cache.open("rb") as file, np.load(file, allow_pickle=False) as known:
            if str(known["key"]) != key:
                return None
            values, kept = known["values"], known["kept"]
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile):
        return None  # something else, or damaged: it is written anew
    failed = [path for path, was_kept in zip(paths, kept, strict=True) if not was_kept]
    again = read_readable(failed, wanted, keep_pixels=False)
    return None if again.kept.any() else Embedded(values, kept, tuple(again.failures))
