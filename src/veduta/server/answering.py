"""The way of one photo through the server: get it, decode it once for all models, ask each, and put it together.

    file, url, sample ─► bytes ─► decoding process ─► micro-batches, one for each model ─► answer

Everything here waits in the event loop and works elsewhere: downloads in threads of their own, decoding in processes,
models in the threads of ``inference``.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast
from urllib.parse import unquote, urlsplit

import structlog

from veduta import __version__
from veduta.errors import (
    BundleBusy,
    BundleError,
    BundleTooLarge,
    NoAnswer,
    TaxonomyError,
    UsageError,
    VedutaError,
)
from veduta.images.decode import Photo, Thumbnail, Wanted
from veduta.images.pool import DecodePool
from veduta.images.preprocess import Preprocessing
from veduta.images.samples import SamplePicture
from veduta.jobs.rows import Row
from veduta.models.bundle import Bundle
from veduta.recognition.landmarks.vetoes import Scene
from veduta.recognition.panel import Panel, stored_weights
from veduta.recognition.scoring import best
from veduta.records import Prediction
from veduta.server.answers import Said, combined_values, landmark_values, photo_values, prediction_values
from veduta.server.catalogue import Known
from veduta.server.inference import Inference, Question
from veduta.server.landmarks import Landmarks, LandmarkSaid
from veduta.server.metrics import Metrics
from veduta.server.problems import ProblemError, problem_of
from veduta.server.uploads import PhotoSource, shown_name

if TYPE_CHECKING:
    from veduta.images.fetch import Fetcher

log = structlog.stdlib.get_logger("veduta.server")

#: The picture of a photo that a browser can't show itself, or must not fetch from where it is.
PREVIEW = Thumbnail(1024, quality=85)
#: How the index of landmarks is called among the models that failed.
LANDMARKS = "landmarks"


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request wants to know of a photo."""

    models: tuple[Known, ...]
    top_k: int = 5
    heatmap: bool = False
    explain: tuple[str, ...] = ()
    attributes: bool = True
    preview: bool = False
    landmarks: bool = False
    language: str = "en"


@dataclass(frozen=True, slots=True)
class _Got:
    """A photo's bytes, and its name in sentences."""

    data: bytes
    name: str | None


@dataclass(frozen=True, slots=True)
class _Plan:
    """What to decode: ``inputs`` and ``map_inputs`` are each model's places in ``wanted``, ``preview`` that of one and
    ``landmarks`` that of what the index of landmarks looks at.
    """

    wanted: tuple[Wanted, ...]
    inputs: tuple[int, ...]
    map_inputs: tuple[int | None, ...]
    preview: int | None
    landmarks: int | None


@dataclass(frozen=True, slots=True)
class _Heard:
    """What came of a photo: answers and failures, the photo itself, and when each step was over."""

    said: list[Said]
    landmark: LandmarkSaid | None
    failures: list[Row]
    photo: Photo
    name: str | None
    preview: bytes | None
    received: float
    decoded: float
    predicted: float


class Answering:
    """Answers what a request asks about a photo."""

    def __init__(
        self,
        *,
        inference: Inference,
        decoders: DecodePool,
        fetcher: Fetcher | None,
        samples: Sequence[SamplePicture],
        metrics: Metrics,
        landmarks: Landmarks | None = None,
    ) -> None:
        self._inference, self._decoders, self._fetcher, self._metrics = inference, decoders, fetcher, metrics
        self._landmarks = landmarks
        self._samples = {sample.id: sample for sample in samples}
        # Downloads wait for strangers; they must not take the threads that files are read in.
        self._downloads: Executor = ThreadPoolExecutor(8, thread_name_prefix="veduta-download")

    async def answer(self, source: PhotoSource, asked: Asked, request_id: str, began: float) -> Row:
        """The answer as JSON values. ``began`` is when the request came, by ``time.perf_counter``.

        Raises ProblemError where the photo can't be used, or where no model answers.
        """
        heard = await self._ask(source, asked)
        values: Row = {
            "id": request_id,
            "version": __version__,
            "language": asked.language,
            "photo": photo_values(heard.photo.facts, heard.name, heard.preview),
            "predictions": [
                prediction_values(each, asked.language, asked.top_k, asked.attributes) for each in heard.said
            ],
            "failures": heard.failures,
        }
        if len(asked.models) > 1 and len(heard.said) > 1:
            values["comparison"] = _comparison(heard.said, asked)
        if heard.landmark is not None:
            values["landmark"] = landmark_values(heard.landmark, asked.language)
        values["timings"] = {
            "receive": _milliseconds(began, heard.received),
            "decode": _milliseconds(heard.received, heard.decoded),
            "predict": _milliseconds(heard.decoded, heard.predicted),
            "total": _milliseconds(began, time.perf_counter()),
        }
        return values

    async def predict(self, source: PhotoSource, asked: Asked) -> Prediction:
        """What one model says, as a record. Raises ProblemError."""
        first = (await self._ask(source, asked)).said[0]
        prediction, tagger = first.prediction, first.tagger
        if asked.top_k < len(prediction.scores):
            return replace(prediction, scores=prediction.scores[: asked.top_k])
        if asked.top_k > tagger.top_k:
            assert prediction.probabilities is not None
            return replace(prediction, scores=best(prediction.probabilities, tagger.labels, asked.top_k))
        return prediction

    def close(self) -> None:
        """Start no more downloads."""
        self._downloads.shutdown(wait=False, cancel_futures=True)

    async def _ask(self, source: PhotoSource, asked: Asked) -> _Heard:
        got = await self._get(source)
        received = time.perf_counter()
        usable = [model for model in asked.models if model.bundle is not None]
        failures = [_failure(model.name, _unusable(model.name)) for model in asked.models if model.bundle is None]
        if not usable:
            raise _unusable(asked.models[0].name)
        _check_labels(usable, asked.explain)
        looks = None
        if asked.landmarks:
            looks, unusable = await self._landmark_input()
            failures += unusable
        plan = _plan(usable, asked, looks)
        photo = await self._decode(got, plan)
        decoded = time.perf_counter()
        said, failed = await self._ask_models(usable, photo, plan, asked)
        landmark = None
        if looks is not None:
            landmark, unusable = await self._ask_landmarks(photo, plan, looks, said)
            failures += unusable
        predicted = time.perf_counter()
        self._metrics.answered(decoded - received, predicted - decoded)
        preview = None if plan.preview is None else cast("bytes", photo.inputs[plan.preview])
        return _Heard(said, landmark, failures + failed, photo, got.name, preview, received, decoded, predicted)

    async def _get(self, source: PhotoSource) -> _Got:
        if source.file is not None:
            return _Got(await source.file.read(), source.name)
        if source.sample is not None:
            sample = self._samples.get(source.sample)
            if sample is None:
                choices = sorted(self._samples)
                there = f"there are {', '.join(choices)}" if choices else "none are installed here"
                raise ProblemError(
                    404, "unknown_sample", f"There is no sample {source.sample!r:.100}; {there}.", choices=choices
                )
            return _Got(await asyncio.to_thread(sample.path.read_bytes), sample.path.name)
        if self._fetcher is None:
            raise ProblemError(403, "urls_off", "This server takes no photos by address; send the photo itself.")
        assert source.url is not None
        loop = asyncio.get_running_loop()
        try:
            fetched = await loop.run_in_executor(self._downloads, self._fetcher.get, source.url)
        except VedutaError as error:
            raise problem_of(error) from error
        return _Got(fetched.content, shown_name(unquote(urlsplit(fetched.url).path)) or "The photo")

    async def _decode(self, got: _Got, plan: _Plan) -> Photo:
        name = got.name or "The photo"
        try:
            return await asyncio.wrap_future(self._decoders.submit(name, plan.wanted, got.data))
        except VedutaError as error:
            raise problem_of(error) from error

    async def _ask_models(
        self, models: Sequence[Known], photo: Photo, plan: _Plan, asked: Asked
    ) -> tuple[list[Said], list[Row]]:
        """Each model's answer, and a failure for each that gives none. Raises ProblemError where it is the only one."""
        futures = [
            asyncio.wrap_future(
                self._inference.ask(
                    Question(
                        model.name,
                        cast("Bundle", model.bundle).bundle_id,
                        photo,
                        plan.inputs[place],
                        plan.map_inputs[place],
                        _own_labels(model, asked.explain),
                    )
                )
            )
            for place, model in enumerate(models)
        ]
        try:
            results = await asyncio.gather(*futures, return_exceptions=True)
        finally:
            for future in futures:
                future.cancel()
        said, failures, problems = [], [], []
        for model, result in zip(models, results, strict=True):
            self._metrics.predicted(model.name, ok=isinstance(result, Said))
            if isinstance(result, Said):
                said.append(result)
                continue
            problem = _model_problem(model.name, result)
            problems.append(problem)
            failures.append(_failure(model.name, problem))
        if not said:
            raise problems[0]
        return said, failures

    async def _landmark_input(self) -> tuple[Preprocessing | None, list[Row]]:
        """What the index of landmarks looks at, or the failure that tells why it can't be asked.

        Raises ProblemError where the server has none.
        """
        if self._landmarks is None:
            raise ProblemError(
                404, "no_landmarks", "This server has no index of landmarks; leave landmarks=true out of the question."
            )
        try:
            await self._landmarks.refresh()
        except Exception as error:  # what the models say stands all the same
            return None, [_landmark_failure(error)]
        return self._landmarks.preprocessing, []

    async def _ask_landmarks(
        self, photo: Photo, plan: _Plan, looks: Preprocessing, said: Sequence[Said]
    ) -> tuple[LandmarkSaid | None, list[Row]]:
        """Which landmark the photo shows, or why the index gives no answer; the first model with a scene has a say."""
        assert self._landmarks is not None
        assert plan.landmarks is not None
        scene = next((found for each in said if (found := Scene.of(each.prediction)) is not None), None)
        try:
            return await self._landmarks.recognise(photo, plan.landmarks, looks, scene), []
        except Exception as error:
            return None, [_landmark_failure(error)]


def _plan(models: Sequence[Known], asked: Asked, looks: Preprocessing | None) -> _Plan:
    wanted: list[Wanted] = []

    def place(one: Wanted) -> int:
        if one not in wanted:
            wanted.append(one)
        return wanted.index(one)

    inputs, map_inputs = [], []
    for model in models:
        assert model.bundle is not None
        inputs.append(place(model.bundle.preprocessing))
        explained = asked.heatmap or _own_labels(model, asked.explain)
        map_input = model.map_input if explained else None
        map_inputs.append(None if map_input is None else place(map_input))
    preview = place(PREVIEW) if asked.preview else None
    landmarks = None if looks is None else place(looks)
    return _Plan(tuple(wanted), tuple(inputs), tuple(map_inputs), preview, landmarks)


def _own_labels(model: Known, explain: Sequence[str]) -> tuple[str, ...]:
    """The labels to explain that the model has; several models may be asked about labels of one of them."""
    if model.bundle is None or not explain:
        return ()
    own = {label.id for label in model.bundle.heads[0].labels}
    return tuple(each for each in explain if each in own)


def _check_labels(models: Sequence[Known], explain: Sequence[str]) -> None:
    for label in explain:
        if not any(_own_labels(model, [label]) for model in models):
            raise ProblemError(
                422,
                "unknown_label",
                f"explain: {label!r:.100} is a label of none of the models that are asked; "
                "GET /v1/models/{name} lists a model's labels.",
            )


def _comparison(said: Sequence[Said], asked: Asked) -> Row:
    """What the models that answered say together, group by group, and who stands apart."""
    taggers = [each.tagger for each in said]
    try:
        panel = Panel(taggers, stored_weights)
    except BundleError as error:
        log.error("learnt weights can't be read, so all models weigh the same", error=str(error))
        panel = Panel(taggers)
    taxonomy = taggers[0].taxonomy
    combined = panel.combine([each.prediction for each in said])
    groups = [combined_values(each, taxonomy, asked.language, asked.top_k) for each in combined]
    return {"groups": groups, "apart": list(panel.apart)}


def _model_problem(name: str, error: BaseException) -> ProblemError:
    """What a model's failure is to a client: no paths of this machine; the log has them."""
    if isinstance(error, asyncio.CancelledError):
        raise error
    if isinstance(error, BundleBusy | BundleTooLarge):
        return problem_of(error)
    if isinstance(error, BundleError | TaxonomyError | UsageError) or not isinstance(error, VedutaError):
        log.error("model failed", model=name, error=f"{type(error).__name__}: {error}")
        return _unusable(name)
    return problem_of(error)


def _landmark_failure(error: Exception) -> Row:
    """What a failure of the index is to a client, in the place of a model's: no paths of this machine."""
    if isinstance(error, NoAnswer | BundleBusy):
        return _failure(LANDMARKS, problem_of(error))
    log.error("landmarks can't be named", error=f"{type(error).__name__}: {error}")
    detail = "The index of landmarks can't be used; the server's log tells why."
    return _failure(LANDMARKS, ProblemError(500, "landmarks_unusable", detail))


def _unusable(name: str) -> ProblemError:
    return ProblemError(500, "model_unusable", f"The model {name} can't be used; the server's log tells why.")


def _failure(model: str, problem: ProblemError) -> Row:
    return {"model": model, "code": problem.code, "detail": problem.detail}


def _milliseconds(start: float, end: float) -> float:
    return round(1000 * max(0.0, end - start), 2)
