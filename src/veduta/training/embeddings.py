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

from veduta.errors import PhotoError, UsageError
from veduta.images.decode import DECODER_VERSION, decode, read_bytes
from veduta.images.preprocess import Preprocessing
from veduta.models.bundle import Bundle
from veduta.models.session import Session
from veduta.models.threads import available_threads
from veduta.records import Failure
from veduta.training.augment import Augmentation, augment
from veduta.whole_file import write_whole

#: How views differ from the photo.
VIEWS = Augmentation(min_area=0.7, filter="bilinear")

# Photos whose views are in memory at once.
_PART = 64
# Between two times that the cache is written: a minute or so.
_KEPT = 32 * _PART

# Views of a model that sees the middle of photos are cut from the whole of them: the middle's middle is never asked
# about. Aspects (width / height) of whole photos, and their short side over the model's own.
_ASPECTS, _LARGER = (1.0, 4 / 3, 3 / 4, 3 / 2, 2 / 3, 2.0, 0.5), 1.3


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

    ``cache`` is a file that keeps them: a photo that it has (by path, size and time, and with views by its place), seen
    by the same model in the same way, is not computed again. ``on_photo`` is told photos done and photos in all.
    Raises UsageError for a model without an embedding, or where no photo can be read; BundleIncompatible where the
    model can't see such photos; OutputError for the cache.
    """
    if bundle.embedding is None:
        raise UsageError(f"{bundle.name} gives no embedding to learn from; choose another model.")
    keys = _keys(paths, bundle, wanted, views, seed)
    known = {} if cache is None else _from_cache(cache, (1 + views, bundle.embedding.size))
    values = np.empty((len(paths), 1 + views, bundle.embedding.size), np.float32)
    kept, failures = np.zeros(len(paths), bool), list[Failure]()
    for place, key in enumerate(keys):
        if key in known:
            values[place], kept[place] = known[key], True
    missing = np.flatnonzero(~kept)
    if not len(missing):
        return Embedded(values, kept, ())
    session, name = Session(bundle.graph), bundle.embedding.name
    session.prepare(*wanted.sizes[0], [name])
    whole = _whole(wanted) if views else wanted
    with ThreadPoolExecutor(available_threads()) as pool:
        for first in range(0, len(missing), _PART):
            places = missing[first : first + _PART]
            draws = [[(seed, view, int(place)) for view in range(1, 1 + views)] for place in places]
            read = list(
                pool.map(lambda path, drawn: _read(path, wanted, whole, drawn), [paths[each] for each in places], draws)
            )
            failures.extend(each for each in read if isinstance(each, Failure))
            kept[places] = [not isinstance(each, Failure) for each in read]
            seen = [each for each in read if not isinstance(each, Failure)]
            if seen:
                values[places[kept[places]]] = _embed(session, name, seen)
            on_photo(len(paths) - len(missing) + first + len(places), len(paths))
            last = first + _PART >= len(missing)
            if cache is not None and kept.any() and (last or first % _KEPT == 0):
                _to_cache(cache, keys, values, kept)
    if not kept.any():
        raise UsageError(f"none of {len(paths)} photos can be read; the first: {failures[0].message}")
    return Embedded(values[kept], kept, tuple(failures))


def _whole(wanted: Preprocessing) -> Preprocessing:
    """The whole photo, sharp enough for crops of it: where it is seen whole as it is seen, else in about its aspect."""
    if wanted.fit == "stretch":
        return wanted
    side = _LARGER * min(wanted.sizes[0])
    sizes = tuple((round(side / min(aspect, 1)), round(side * max(aspect, 1))) for aspect in _ASPECTS)
    return Preprocessing("stretch", sizes, wanted.filter)


def _read(
    path: str, wanted: Preprocessing, whole: Preprocessing, draws: Sequence[tuple[int, int, int]]
) -> list[NDArray[np.uint8]] | Failure:
    """A photo as it is seen, and a changed view of the ``whole`` of it for each of ``draws`` (seed, view, place)."""
    try:
        photo = decode(read_bytes(path), [wanted, whole], name=path)
    except PhotoError as error:
        return Failure(path, type(error).__name__, str(error))
    seen = photo.pixels(0)
    return [seen, *(augment(photo.pixels(1), seen.shape[1], VIEWS, draw) for draw in draws)]


def _embed(session: Session, name: str, seen: Sequence[Sequence[NDArray[np.uint8]]]) -> NDArray[np.float32]:
    """``[k, v, d]`` of k photos in v views."""
    return np.stack([session.run(list(view), [name])[name] for view in zip(*seen, strict=True)], axis=1)


def _keys(paths: Sequence[str], bundle: Bundle, wanted: Preprocessing, views: int, seed: int) -> list[str]:
    """What the embeddings of each photo depend on."""
    told = f"{bundle.embedding_id} {DECODER_VERSION} {wanted} {views} {seed} {VIEWS} {_LARGER}"
    common = hashlib.sha256(told.encode()).hexdigest()
    keys = []
    for place, path in enumerate(paths):
        try:
            status = os.stat(path)  # noqa: PTH116  a Path for each takes longer
            stamp = f"{status.st_size} {status.st_mtime_ns}"
        except (OSError, ValueError):
            stamp = ""
        about = f"{common}\0{path}\0{stamp}\0{place if views else ''}"
        keys.append(hashlib.sha256(about.encode("utf-8", "surrogateescape")).hexdigest())
    return keys


def _to_cache(cache: Path, keys: Sequence[str], values: NDArray[np.float32], kept: NDArray[np.bool_]) -> None:
    file = io.BytesIO()
    np.savez(file, keys=np.array(keys)[kept], values=values[kept])
    write_whole(cache, file.getvalue())


def _from_cache(cache: Path, shape: tuple[int, int]) -> dict[str, NDArray[np.float32]]:
    """What was kept ``[1 + views, d]`` by its key; nothing where that is something else."""
    try:
        with cache.open("rb") as file, np.load(file, allow_pickle=False) as known:
            keys, values = known["keys"], known["values"]
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile):
        return {}  # something else, or damaged: it is written anew
    if values.dtype != np.float32 or values.shape != (len(keys), *shape):
        return {}
    return {str(key): each for key, each in zip(keys, values, strict=True)}
