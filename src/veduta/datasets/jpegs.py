"""Photos of any format as upright RGB JPEG, for a set that every program reads."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path

from veduta.errors import PhotoError
from veduta.images.decode import Photo, Thumbnail
from veduta.images.pool import DecodePool
from veduta.whole_file import write_whole

#: The longer side at the most, in pixels: three times what networks look at, and a tenth of a camera's file.
SIDE = 1024
_QUALITY = 92
_AHEAD = 64


def write_jpegs(
    pairs: Sequence[tuple[Path, Path]],
    pool: DecodePool,
    *,
    on_photo: Callable[[int, int], None] = lambda _done, _all: None,
) -> dict[int, str]:
    """Write each photo (from, to) as JPEG of at most ``SIDE`` pixels; what is there already stays.

    It turns as its EXIF says, has lost its metadata and profile, and is never enlarged: that is left to the network's
    own input, which enlarges where it must, by the pixels that are there. Returns why photos could not be, by place.
    Raises OutputError.
    """
    failures: dict[int, str] = {}
    places = [place for place, (_, target) in enumerate(pairs) if not target.is_file()]
    waiting: deque[tuple[int, Future[Photo]]] = deque()
    coming = iter(places)
    done = len(pairs) - len(places)
    while True:
        while len(waiting) < _AHEAD and (place := next(coming, None)) is not None:
            waiting.append((place, pool.submit(str(pairs[place][0]), [Thumbnail(SIDE, _QUALITY)])))
        if not waiting:
            return failures
        place, future = waiting.popleft()
        try:
            content = future.result().inputs[0]
        except PhotoError as error:
            failures[place] = str(error)
        else:
            assert isinstance(content, bytes), "a thumbnail is an encoded JPEG"
            write_whole(pairs[place][1], content, sync=False)
        done += 1
        on_photo(done, len(pairs))
