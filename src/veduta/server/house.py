"""All that a worker process holds while it serves: made when it starts, closed when it stops."""

from __future__ import annotations

import asyncio
import gc
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

import structlog
from starlette.requests import Request

from veduta.images.pool import DecodePool
from veduta.images.samples import installed
from veduta.models.bundle import Bundle
from veduta.recognition.tagger import Tagger, load
from veduta.recognition.tagger_cache import TaggerCache
from veduta.server.answering import Answering
from veduta.server.catalogue import Catalogue
from veduta.server.inference import Inference
from veduta.server.landmarks import Landmarks
from veduta.server.metrics import Metrics
from veduta.server.places import Places
from veduta.server.settings import Settings
from veduta.workflows.landmarks import index_path

if TYPE_CHECKING:
    from veduta.images.fetch import Fetcher

log = structlog.stdlib.get_logger("veduta.server")

#: Labels that a model's answer tells at hand; who asks for more gets them from the whole distribution.
TOP_K = 20


@dataclass(slots=True)
class House:
    """The parts of a running server, by name."""

    settings: Settings
    catalogue: Catalogue
    cache: TaggerCache
    inference: Inference
    decoders: DecodePool
    answering: Answering
    places: Places
    metrics: Metrics
    fetcher: Fetcher | None
    landmarks: Landmarks | None
    #: Of all batches together no more photos are worked on, nor in memory, than are decoded at a time.
    batch_room: asyncio.Semaphore
    warm: bool = False

    @classmethod
    def open(cls, settings: Settings, metrics: Metrics, fetcher: Fetcher | None = None) -> House:
        """Start everything. ``fetcher`` stands in for the one that the settings describe."""

        def load_one(folder: Path) -> Tagger:
            return _load(folder, settings)

        cache = TaggerCache(settings.memory_mb * 2**20, load_one)
        places = Places(settings.queue)
        metrics.watch(lambda: places.taken, lambda: len(cache.loaded()))
        catalogue = Catalogue(settings.default_model, settings.models)
        catalogue.find(settings.default_model)
        decoders = DecodePool(
            settings.decoding_processes, settings.photo_limits, recycle_after=settings.recycle, send_ahead=False
        )
        inference = Inference(cache, settings.computing_threads, settings.batch)
        if settings.fetch and fetcher is None:
            from veduta.images.fetch import Fetcher as Guarded

            fetcher = Guarded(limits=settings.fetch_limits, proxy=settings.proxy)
        landmarks = None
        if settings.landmarks is not None:
            landmarks = Landmarks(index_path(settings.landmarks), settings.computing_threads)
        answering = Answering(
            inference=inference,
            decoders=decoders,
            fetcher=fetcher if settings.fetch else None,
            samples=installed(),
            metrics=metrics,
            landmarks=landmarks,
        )
        room = asyncio.Semaphore(settings.decoding_processes)
        return cls(
            settings, catalogue, cache, inference, decoders, answering, places, metrics, fetcher, landmarks, room
        )

    @staticmethod
    def of(request: Request) -> House:
        """The house that a request is in."""
        return cast(House, request.app.state.house)

    async def warm_up(self) -> None:
        """Make the default model ready, so that the first photo need not wait; what goes wrong, it will be told."""
        try:
            await asyncio.to_thread(self._warm_up)
        except Exception as error:
            log.error("what answers can't be made ready", model=self.settings.default_model, error=str(error))
            return
        # What is here now stays, so the collector need not look at it again each time.
        gc.collect()
        gc.freeze()
        self.warm = True

    @property
    def ready(self) -> bool:
        """Whether the default model answers; one that was mended after the start is loaded by its first photo."""
        return self.warm or self.cache.is_loaded(self.settings.default_model)

    def close(self) -> None:
        """Stop everything; what waits is cancelled."""
        self.answering.close()
        self.inference.close()
        self.decoders.close()
        if self.landmarks is not None:
            self.landmarks.close()
        self.cache.evict_all()
        if self.fetcher is not None:
            self.fetcher.close()
        self.metrics.close()

    def _warm_up(self) -> None:
        with self.cache.use(self.settings.default_model) as tagger:
            tagger.warm_up()
        if self.landmarks is not None:
            self.landmarks.warm_up()


def _load(folder: Path, settings: Settings) -> Tagger:
    """A model as the server asks it: with attributes where it has any, and called as its folder is."""
    known = Bundle.load(folder, verify=False)
    tagger = load(
        folder,
        precision=settings.precision,
        threads=settings.computing_threads,
        top_k=TOP_K,
        attributes=known.attributes is not None,
    )
    tagger.bundle = replace(tagger.bundle, name=folder.name)
    return tagger
