"""Micro-batches, off the event loop: photos that wait for the same model are answered together.

No photo waits for a batch to fill. A thread that is free takes what waits for one model, so batches grow by themselves
when many ask at once. One thread more does nothing but models that are not in memory: it loads the model and answers
all who wait for it, and photos for models that are loaded never queue behind it.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

import numpy as np
import structlog

from veduta.errors import BundleBusy, NoAnswer, UsageError, VedutaError
from veduta.explanation.explain import find_label
from veduta.explanation.overlay import layer_bytes
from veduta.explanation.saliency import heat_maps
from veduta.images.decode import Photo
from veduta.recognition.tagger import Tagger
from veduta.recognition.tagger_cache import TaggerCache
from veduta.records import Prediction, Score
from veduta.server.answers import HeatMap, Said

log = structlog.stdlib.get_logger("veduta.server")

#: How often a thread looks again while photos wait for a model that is not its own.
_LOOK_SECONDS = 0.25
#: How long closing waits for what is being computed.
_CLOSE_SECONDS = 3.0
#: How long the loading thread waits for memory that others' photos hold.
_LOAD_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Question:
    """One model about one decoded photo: ``photo.inputs[index]`` is what it looks at.

    ``map_index`` is the input for heat maps, None where none is asked for; ``explain`` are ids of labels, empty for the
    most probable one. ``bundle_id`` is the version of the model that the inputs were made for.
    """

    model: str
    bundle_id: str
    photo: Photo
    index: int
    map_index: int | None = None
    explain: tuple[str, ...] = ()


@dataclass(slots=True, eq=False)
class _Waiting:
    question: Question
    since: float
    future: Future[Said] = field(default_factory=Future)


class Inference:
    """Threads that answer questions. Nothing is bounded here; who asks has a place in the queue."""

    def __init__(self, cache: TaggerCache, threads: int, batch: int) -> None:
        self._cache, self._batch = cache, batch
        self._waiting: dict[str, deque[_Waiting]] = {}
        self._changed = threading.Condition()
        self._closing = False
        self._loading: str | None = None
        self._arrivals = 0  # of photos, and of models in memory: what a thread that waits must look at
        self._threads = [
            threading.Thread(
                target=self._run, args=(cold,), name=f"veduta-{'load' if cold else 'predict'}", daemon=True
            )
            for cold in [True] + [False] * threads
        ]
        for thread in self._threads:
            thread.start()

    def ask(self, question: Question) -> Future[Said]:
        """The answer, or a VedutaError; cancel it where nobody waits any more."""
        waiting = _Waiting(question, time.perf_counter())
        waiting.future.add_done_callback(lambda _: self._forget(waiting))
        with self._changed:
            if self._closing:
                raise UsageError("The inference is closed.")
            self._waiting.setdefault(question.model, deque()).append(waiting)
            self._arrivals += 1
            self._changed.notify_all()
        return waiting.future

    def close(self) -> None:
        """Answer nothing more; what waits is cancelled."""
        with self._changed:
            self._closing = True
            left = [waiting for queue in self._waiting.values() for waiting in queue]
            self._waiting.clear()
            self._changed.notify_all()
        for waiting in left:
            waiting.future.cancel()
        ends = time.monotonic() + _CLOSE_SECONDS
        for thread in self._threads:
            # One that loads a model or makes a heat map of many passes ends with the process.
            thread.join(max(0.0, ends - time.monotonic()))

    def _forget(self, waiting: _Waiting) -> None:
        """Nobody waits for it any more: neither may a model be loaded for it, nor its photo take memory."""
        if not waiting.future.cancelled():
            return
        with self._changed:
            queue = self._waiting.get(waiting.question.model)
            if queue is not None and waiting in queue:
                queue.remove(waiting)
                if not queue:
                    del self._waiting[waiting.question.model]

    def _run(self, cold: bool) -> None:
        while True:
            model = None
            try:
                model = self._next(cold)
                if model is None:
                    return
                with self._cache.use(model, _LOAD_SECONDS) as tagger:
                    # Who waited for a model to load is answered before another one may take its memory.
                    for _ in range(self._batches(model) if cold else 1):
                        _answer(tagger, self._take(model))
            except Exception as error:  # a thread that ends would leave everybody waiting
                if model is None:
                    log.exception("the models' names can't be looked up", error=str(error))
                    time.sleep(1)
                else:
                    self._refuse(model, error)
            finally:
                if cold:
                    with self._changed:
                        self._loading = None
                        self._arrivals += 1
                        self._changed.notify_all()

    def _next(self, cold: bool) -> str | None:
        """The model whose first photo has waited longest, among those in memory or those that are not.

        Which those are is looked up on the disk, so no lock is held meanwhile: the event loop takes it, too.
        """
        while True:
            with self._changed:
                if self._closing:
                    return None
                asked, seen = self._oldest_first(), self._arrivals
            model = next((each for each in asked if self._cache.is_loaded(each) != cold), None)
            with self._changed:
                if model is not None and model in self._waiting and model != self._loading:
                    if cold:
                        self._loading = model
                    return model
                if self._arrivals == seen and not self._closing:
                    # A model may leave between the looks of two threads, and neither would be told.
                    self._changed.wait(_LOOK_SECONDS if asked else None)

    def _oldest_first(self) -> list[str]:
        waiting = ((queue[0].since, model) for model, queue in self._waiting.items() if model != self._loading)
        return [model for _, model in sorted(waiting)]

    def _batches(self, model: str) -> int:
        with self._changed:
            return math.ceil(len(self._waiting.get(model, ())) / self._batch)

    def _take(self, model: str) -> list[_Waiting]:
        """The next micro-batch of a model, oldest first, without what was given up meanwhile.

        A question with heat maps, which may take many passes, is a batch of its own: nobody waits behind it in one.
        """
        taken: list[_Waiting] = []
        with self._changed:
            queue = self._waiting.get(model, deque())
            while queue and len(taken) < self._batch:
                if taken and (queue[0].question.map_index is not None or taken[0].question.map_index is not None):
                    break
                waiting = queue.popleft()
                if waiting.future.set_running_or_notify_cancel():
                    taken.append(waiting)
            if not queue:
                self._waiting.pop(model, None)
        return taken

    def _refuse(self, model: str, error: Exception) -> None:
        with self._changed:
            queue = self._waiting.pop(model, deque())
        for waiting in queue:
            if waiting.future.set_running_or_notify_cancel():
                waiting.future.set_exception(error)


def _answer(tagger: Tagger, batch: Sequence[_Waiting]) -> None:
    """Answer a micro-batch; where the model gives no number for one photo, the others are answered all the same."""
    current = [each for each in batch if _is_current(tagger, each)]
    if not current:
        return
    started = time.perf_counter()
    try:
        predictions = _predictions(tagger, [each.question for each in current])
    except Exception as error:
        if len(current) == 1 or not isinstance(error, NoAnswer):
            for each in current:
                each.future.set_exception(error)
            return
        for each in current:
            _answer(tagger, [each])
        return
    share = 1000 * (time.perf_counter() - started) / len(current)
    for each, prediction in zip(current, predictions, strict=True):
        _finish(tagger, each, prediction, share)


def _finish(tagger: Tagger, waiting: _Waiting, prediction: Prediction, milliseconds: float) -> None:
    started = time.perf_counter()
    try:
        maps = _maps(tagger, waiting.question, prediction)
    except Exception as error:
        waiting.future.set_exception(error)
        return
    waiting.future.set_result(Said(tagger, prediction, maps, milliseconds + 1000 * (time.perf_counter() - started)))


def _is_current(tagger: Tagger, waiting: _Waiting) -> bool:
    """False where the model was replaced after the photo was decoded for it; the waiting one is told."""
    if tagger.bundle.bundle_id == waiting.question.bundle_id:
        return True
    error: VedutaError = BundleBusy(f"The model {tagger.bundle.name} was just replaced; ask again.")
    waiting.future.set_exception(error)
    return False


def _predictions(tagger: Tagger, questions: Sequence[Question]) -> list[Prediction]:
    """Photos that came with different other models' inputs have theirs at different places, so they are aligned."""
    photos = [
        Photo(each.photo.facts, each.photo.digest, (each.photo.inputs[each.index],), (each.photo.boxes[each.index],))
        for each in questions
    ]
    return tagger.predict_photos(photos)


def _maps(tagger: Tagger, question: Question, prediction: Prediction) -> tuple[HeatMap, ...]:
    if question.map_index is None or prediction.probabilities is None:
        return ()
    labels = tagger.head.labels
    wanted = [find_label(labels, each) for each in question.explain] or [int(prediction.probabilities.argmax())]
    pixels = question.photo.pixels(question.map_index)
    facts = prediction.facts
    found = []
    for place in dict.fromkeys(wanted):
        values, method = heat_maps(tagger.session, tagger.bundle, pixels[np.newaxis], [place])
        score = Score(tagger.labels[place], float(prediction.probabilities[place]))
        found.append(HeatMap(score, method, layer_bytes(values[0], (facts.width, facts.height))))
    return tuple(found)
