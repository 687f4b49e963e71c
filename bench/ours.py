"""Veduta's side of the comparison: the job behind ``veduta tag``, and its two parts alone."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from veduta.images.decode import Photo
from veduta.images.pool import DecodePool
from veduta.jobs.ledger import Ledger
from veduta.jobs.pipeline import tag_photos
from veduta.jobs.rows import Result
from veduta.models.session import Precision
from veduta.models.threads import available_threads
from veduta.recognition.tagger import load
from veduta.records import Sample

_LOOK_AHEAD = 192


class VedutaSide:
    """A tagger and a running pool, as a long job has them; each pass has a fresh ledger of its own."""

    def __init__(self, bundle: Path, photos: Sequence[Path], precision: Precision) -> None:
        self._photos = [str(photo) for photo in photos]
        self._tagger = load(str(bundle), precision=precision)
        self._pool = DecodePool(available_threads())
        wanted = self._tagger.preprocessing
        # As many different inputs as a job may have in memory; the cache must not make inference alone look better.
        self._ready = [photo.inputs[0] for photo in self._decoded(self._photos[: min(len(photos), _LOOK_AHEAD)])]
        self._session, self._logits = self._tagger.session, self._tagger.head.logits
        self._session.prepare(*wanted.sizes[0], [self._logits])

    def facts(self) -> dict[str, Any]:
        """How this side works."""
        return {
            "threads": f"{self._session.threads} of OpenVINO, {available_threads()} decoding processes",
            "precision": self._session.precision,
        }

    def pipeline(self) -> list[int]:
        """All that ``veduta tag`` does but writing a file: rows are made, counted in the ledger, and dropped."""
        sink = _FirstLabels()
        with Ledger.temporary() as ledger:
            tag_photos(
                [Sample(path) for path in self._photos], [self._tagger], ledger=ledger, sinks=[sink], pool=self._pool
            )
        return sink.found

    def decode(self) -> list[int]:
        """Decoding alone, by all cores."""
        deque(self._decoded(self._photos), maxlen=0)
        return []

    def inference(self) -> list[int]:
        """Inference alone, by all cores, on arrays that are ready; as many photos as the other passes."""
        done = 0
        while done < len(self._photos):
            some = self._ready[: len(self._photos) - done]
            self._session.run(some, [self._logits])  # type: ignore[arg-type]
            done += len(some)
        return []

    def close(self) -> None:
        """End the decoding processes."""
        self._pool.close()

    def _decoded(self, paths: Sequence[str]) -> Iterator[Photo]:
        wanted = [self._tagger.preprocessing]
        under_way: deque[Future[Photo]] = deque()
        for path in paths:
            under_way.append(self._pool.submit(path, wanted))
            if len(under_way) >= _LOOK_AHEAD:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()


class _FirstLabels:
    """A sink that keeps only the number of the first label, for comparing the sides' answers."""

    def __init__(self) -> None:
        self.found: list[int] = []

    def write(self, result: Result) -> None:
        """Take a row and drop it."""
        self.found.append(int(result.row["scores"][0]["id"].rsplit("_", 1)[1]))

    def finish(self) -> None:
        """Nothing is kept."""

    def abandon(self) -> None:
        """Nothing is kept."""


def decoded_size(photo: Path, bundle: Path) -> tuple[int, int]:
    """The pixels, (width, height), that our decoder makes of a photo before it resizes them."""
    from veduta.images import decode as decoding
    from veduta.models.bundle import Bundle

    data = photo.read_bytes()
    wanted = [Bundle.load(bundle, verify=False).preprocessing]
    loaded = decoding._load(data, wanted, decoding.Limits(), photo.name)
    return loaded.pixels.size
