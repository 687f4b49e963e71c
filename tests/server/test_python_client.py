"""``veduta.Client`` against the server itself: what a user of both would notice."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

import veduta
from veduta.client import Answer, Client
from veduta.errors import ApiError
from veduta.records import Attribute, Failure, Label, Score

from .running import Running


@pytest.fixture
def asking(server: Running) -> Iterator[Client]:
    with Client(server.url) as client:
        yield client


def _rounded(score: Score) -> Score:
    """As the API tells a score: in six digits."""
    return Score(score.label, pytest.approx(score.probability, abs=1e-6))


def test_a_prediction_is_the_local_one(asking: Client, jpeg: bytes, tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(jpeg)
    answer = asking.predict(tmp_path / "photo.jpg")
    local = veduta.load(attributes=True).predict(jpeg)
    (found,) = answer.predictions
    assert (found.model, found.bundle_id, found.precision) == (local.model, local.bundle_id, local.precision)
    assert (found.facts, found.crop, found.calibrated, found.fits) == (
        local.facts,
        local.crop,
        local.calibrated,
        local.fits,
    )
    assert found.scores == tuple(map(_rounded, local.scores))
    assert found.environment is not None
    assert local.environment is not None
    assert found.environment.kind == local.environment.kind
    assert found.attributes == tuple(
        Attribute(each.label, pytest.approx(each.probability, abs=1e-6), each.source) for each in local.attributes or ()
    )
    assert answer.version == veduta.__version__


def test_an_image_in_memory_is_answered_as_a_local_one(asking: Client, jpeg: bytes) -> None:
    with Image.open(io.BytesIO(jpeg)) as image:
        found, local = asking.predict(image).predictions[0], veduta.load().predict(image)
    assert found.scores == tuple(map(_rounded, local.scores))


def test_names_are_in_the_language_and_the_graph_can_be_drawn(asking: Client, jpeg: bytes) -> None:
    from veduta.labels.translations import name_of
    from veduta.reports import bars

    answer = asking.predict(jpeg, language="ru", heatmap=True)
    label = answer.predictions[0].scores[0].label
    assert label.name == name_of(Label(label.id, ""), "ru")
    assert bars(answer.predictions[0], "ru").size == asking.bars(jpeg, language="ru").size
    (heatmap,) = answer.heatmaps
    assert heatmap.label.id == label.id
    assert Image.open(io.BytesIO(heatmap.picture)).format == "WEBP"


def test_a_batch_keeps_its_order_and_its_failures(asking: Client, jpeg: bytes) -> None:
    results = asking.predict_batch([jpeg, b"<html>", jpeg, b""] + [jpeg] * 16)
    assert [isinstance(each, Answer) for each in results] == [True, False, True, False] + [True] * 16
    assert [each.error for each in results if isinstance(each, Failure)] == ["unsupported_format", "photo_empty"]


def test_what_is_refused_is_an_api_error_with_its_code(asking: Client, jpeg: bytes) -> None:
    with pytest.raises(ApiError) as unknown:
        asking.predict(jpeg, models="no-such-model")
    assert (unknown.value.status, unknown.value.code) == (404, "unknown_model")
    assert "places100" in unknown.value.choices
    with pytest.raises(ApiError) as large:
        asking.predict(bytes(21 * 2**20))
    assert (large.value.status, large.value.code) == (413, "photo_too_large")
    with pytest.raises(ApiError) as refused:
        asking.predict(url="http://127.0.0.1/photo.jpg")
    assert refused.value.code == "url_refused"


def test_models_samples_and_health_are_told(asking: Client) -> None:
    told = asking.models()
    assert told["default"] == "places100"
    assert {each["name"] for each in told["models"]} > {"places100", "places365-squeezenet"}
    assert asking.model("places100")["all_labels"]
    assert all(each["credit"] for each in asking.samples())
    assert asking.health()
    assert asking.ready()
