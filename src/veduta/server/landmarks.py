"""The index of landmarks that a server asks: opened when it starts, and anew when its file has changed.

All of it happens in one thread, so that no photo is answered while the index is exchanged. A photo takes some
milliseconds; what asks has a place in the queue.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import structlog

from veduta.errors import BundleBusy
from veduta.images.decode import Photo
from veduta.images.preprocess import Preprocessing
from veduta.recognition.landmarks.index import LandmarkIndex
from veduta.recognition.landmarks.recogniser import LandmarkRecogniser
from veduta.recognition.landmarks.vetoes import Scene
from veduta.records import LandmarkAnswer
from veduta.workflows.landmarks import load_landmarks

log = structlog.stdlib.get_logger("veduta.server")

_Done = TypeVar("_Done")
_Stamp = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class LandmarkSaid:
    """Which landmark, the pictures of its nearest reference photos (small JPEGs, None where none is kept), and how long
    that took, in milliseconds.
    """

    answer: LandmarkAnswer
    pictures: tuple[bytes | None, ...]
    milliseconds: float


class Landmarks:
    """Names landmarks by the index at ``path``.

    Raises LandmarkIndexError and BundleError where the index, or the model that it was made by, can't be used.
    """

    def __init__(self, path: Path, threads: int) -> None:
        self._path, self._threads = path, threads
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="veduta-landmarks")
        self._stamp = _stamp(path)
        self._recogniser = load_landmarks(path, threads=threads)

    @property
    def index(self) -> LandmarkIndex:
        """The index as it was last opened."""
        return self._recogniser.index

    @property
    def preprocessing(self) -> Preprocessing:
        """What to ask the decoder for."""
        return self._recogniser.preprocessing

    def refresh_now(self) -> None:
        """The same for who is in no event loop."""
        if _stamp(self._path) != self._stamp:
            self._thread.submit(self._reopen).result()

    def warm_up(self) -> None:
        """Compile the graph now, as the first photo otherwise would."""
        self._recogniser.embedder.warm_up()

    async def refresh(self) -> None:
        """Open the index anew where its file has changed. Raises what opening it raises; the next call tries again."""
        if _stamp(self._path) != self._stamp:
            await self._run(self._reopen)

    async def recognise(self, photo: Photo, place: int, wanted: Preprocessing, scene: Scene | None) -> LandmarkSaid:
        """What a decoded photo shows; ``photo.inputs[place]`` was made by ``wanted``.

        Raises BundleBusy where the index was exchanged for one that looks at photos otherwise, NoAnswer.
        """
        return await self._run(partial(self._recognise, photo, place, wanted, scene))

    def close(self) -> None:
        """Let go of the file; what waits is cancelled."""
        self._thread.shutdown(cancel_futures=True)
        self._recogniser.index.close()

    async def _run(self, work: Callable[[], _Done]) -> _Done:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _reopen(self) -> None:
        stamp = _stamp(self._path)
        if stamp == self._stamp:
            return
        old, new = self._recogniser, load_landmarks(self._path, threads=self._threads)
        if new.index.embedding == old.index.embedding:
            # Its graph is compiled already.
            new = LandmarkRecogniser(old.embedder, new.index)
        self._recogniser, self._stamp = new, stamp
        old.index.close()
        log.info("index of landmarks opened anew", index=new.index.name, landmarks=len(new.index))

    def _recognise(self, photo: Photo, place: int, wanted: Preprocessing, scene: Scene | None) -> LandmarkSaid:
        recogniser, started = self._recogniser, time.perf_counter()
        if recogniser.preprocessing != wanted:
            raise BundleBusy("The index of landmarks was just replaced; ask again.")
        answer = recogniser.recognise_photos([photo], [scene], place)[0]
        shown = answer.shown
        pictures = (
            ()
            if shown is None
            else tuple(recogniser.index.file.thumbnail(shown.id, each.digest or "") for each in answer.references)
        )
        return LandmarkSaid(answer, pictures, 1000 * (time.perf_counter() - started))


def _stamp(path: Path) -> _Stamp:
    try:
        state = path.stat()
    except OSError:
        return (0, 0, 0)
    return (state.st_ino, state.st_mtime_ns, state.st_size)
