"""Photos for a page: a thumbnail of each, and the heat map of one of its classes to lay over it."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from blake3 import blake3
from numpy.typing import NDArray

from veduta.errors import PhotoError
from veduta.explanation.overlay import layer_bytes
from veduta.explanation.saliency import heat_maps, map_preprocessing
from veduta.images.decode import Photo, Thumbnail, Wanted
from veduta.images.pool import DecodePool
from veduta.recognition.tagger import Tagger
from veduta.whole_file import write_whole

THUMBNAIL_SIDE = 320

# Photos that are decoded and explained at a time.
_BATCH = 32


@dataclass(frozen=True, slots=True)
class Pictures:
    """The names of a photo's files, relative to the page; None for a photo that has gone or can't be explained."""

    thumbnail: str | None = None
    heat: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Those that there are."""
        return tuple(name for name in (self.thumbnail, self.heat) if name is not None)


def put_picture(folder: Path, content: bytes, suffix: str) -> str:
    """Write a picture below the folder of a page, by its content, and return its name there. Raises OutputError."""
    name = f"pictures/{blake3(content).hexdigest(length=16)}.{suffix}"
    # An earlier page keeps its own until the new one is there, and its own has another name.
    write_whole(folder / name, content, sync=False)
    return name


def put_photos(
    folder: Path, photos: Sequence[tuple[str, int]], tagger: Tagger, pool: DecodePool
) -> dict[tuple[str, int], Pictures]:
    """Write the pictures of photos by (path, place of the explained class among the tagger's labels).

    They are decoded anew; one that has gone since has no pictures. Raises OutputError.
    """
    wanted = list(dict.fromkeys(photos))
    made: dict[tuple[str, int], Pictures] = {}
    inputs: list[Wanted] = [Thumbnail(THUMBNAIL_SIDE), map_preprocessing(tagger.bundle)]
    for first in range(0, len(wanted), _BATCH):
        some = wanted[first : first + _BATCH]
        waiting = [pool.submit(path, inputs) for path, _ in some]
        made |= _put_batch(folder, some, waiting, tagger)
    return made


def _put_batch(
    folder: Path, photos: Sequence[tuple[str, int]], waiting: Sequence[Future[Photo]], tagger: Tagger
) -> dict[tuple[str, int], Pictures]:
    made: dict[tuple[str, int], Pictures] = {}
    decoded: list[tuple[tuple[str, int], Photo, str]] = []
    for key, future in zip(photos, waiting, strict=True):
        made[key] = Pictures()
        try:
            photo = future.result()
        except PhotoError:
            continue
        thumbnail = photo.inputs[0]
        assert isinstance(thumbnail, bytes), "a thumbnail is an encoded JPEG"
        decoded.append((key, photo, put_picture(folder, thumbnail, "jpg")))
    by_size: dict[tuple[int, ...], list[tuple[tuple[str, int], Photo, str]]] = {}
    for each in decoded:
        by_size.setdefault(each[1].pixels(1).shape, []).append(each)
    for group in by_size.values():
        pixels: NDArray[np.uint8] = np.stack([photo.pixels(1) for _, photo, _ in group])
        maps, _ = heat_maps(tagger.session, tagger.bundle, pixels, [place for (_, place), _, _ in group])
        for values, (key, photo, name) in zip(maps, group, strict=True):
            layer = layer_bytes(values, (photo.facts.width, photo.facts.height))
            made[key] = Pictures(name, put_picture(folder, layer, "webp"))
    return made
