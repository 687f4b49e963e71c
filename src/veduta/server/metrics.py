"""Figures for Prometheus. Several worker processes write theirs into one folder, and any of them tells those of all.

``prometheus_client`` chooses between the two when it is first imported, by ``PROMETHEUS_MULTIPROC_DIR``; so ``run``
sets that before, and nothing imports this room earlier.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
    multiprocess,
)

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
CONTENT_TYPE = CONTENT_TYPE_LATEST

_SECONDS = (0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48)


class Metrics:
    """The server's counters. Labels have few values each: route templates, statuses, and models of the store."""

    def __init__(self) -> None:
        registry = CollectorRegistry()
        self._several = FOLDER in os.environ
        self._registry = registry
        self._queue: Callable[[], int] = lambda: 0
        self._models: Callable[[], int] = lambda: 0
        self._requests = Counter(
            "veduta_requests_total", "Answered requests.", ("method", "route", "status"), registry=registry
        )
        self._request_seconds = Histogram(
            "veduta_request_seconds",
            "From the first byte of a request to the last of its answer.",
            ("route",),
            buckets=_SECONDS,
            registry=registry,
        )
        self._decode_seconds = Histogram(
            "veduta_decode_seconds", "Decoding a photo, with its wait.", buckets=_SECONDS, registry=registry
        )
        self._predict_seconds = Histogram(
            "veduta_predict_seconds", "All models about a photo, with their wait.", buckets=_SECONDS, registry=registry
        )
        self._predictions = Counter(
            "veduta_predictions_total", "Photos that a model was asked about.", ("model", "outcome"), registry=registry
        )
        self._queue_gauge = Gauge(
            "veduta_queue_photos", "Photos in the house now.", multiprocess_mode="livesum", registry=registry
        )
        self._models_gauge = Gauge(
            "veduta_models_loaded", "Models in memory now.", multiprocess_mode="livesum", registry=registry
        )
        if not self._several:
            ProcessCollector(registry=registry)
            PlatformCollector(registry=registry)

    def watch(self, queue: Callable[[], int], models: Callable[[], int]) -> None:
        """``queue`` and ``models`` tell how many photos are in the house and how many models in memory, now."""
        self._queue, self._models = queue, models

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """A request was answered."""
        self._requests.labels(method, route, str(status)).inc()
        self._request_seconds.labels(route).observe(seconds)
        if self._several:
            # The other workers tell of this one only what it has written down.
            self._look()

    def answered(self, decode_seconds: float, predict_seconds: float) -> None:
        """A photo went all the way."""
        self._decode_seconds.observe(decode_seconds)
        self._predict_seconds.observe(predict_seconds)

    def predicted(self, model: str, *, ok: bool) -> None:
        """A model was asked about a photo."""
        self._predictions.labels(model, "ok" if ok else "failed").inc()

    def text(self) -> bytes:
        """All figures in Prometheus's text format, of all workers where there are several."""
        self._look()
        if not self._several:
            return generate_latest(self._registry)
        everybody = CollectorRegistry()
        multiprocess.MultiProcessCollector(everybody)  # type: ignore[no-untyped-call]
        return generate_latest(everybody)

    def close(self) -> None:
        """This worker's gauges count no more."""
        if self._several:
            multiprocess.mark_process_dead(os.getpid())  # type: ignore[no-untyped-call]

    def _look(self) -> None:
        self._queue_gauge.set(self._queue())
        self._models_gauge.set(self._models())


def forget_the_dead(folder: Path) -> None:
    """Remove the gauges of workers that were killed, so that their photos in the house do not count for ever."""
    for file in folder.glob("gauge_live*_*.db"):
        pid = file.stem.rpartition("_")[2]
        if pid.isdigit() and not Path(f"/proc/{pid}").exists():
            file.unlink(missing_ok=True)
