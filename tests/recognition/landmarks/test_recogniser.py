"""Which landmark a photo shows, or none; and what that rests on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from veduta.errors import IndexIncompatible, NoAnswer
from veduta.recognition.landmarks.enrolment import enrol, new_landmark, see_photos
from veduta.recognition.landmarks.entries import EmbeddingIdentity
from veduta.recognition.landmarks.index import LandmarkIndex
from veduta.recognition.landmarks.index_file import IndexFile
from veduta.recognition.landmarks.recogniser import LandmarkRecogniser, PhotoEmbedder
from veduta.recognition.landmarks.vetoes import Scene

from .conftest import BLUE, GREEN, GREY, RED, Make

ROME, TOKYO = (41.9, 12.5), (35.7, 139.7)


@pytest.fixture
def recogniser(file: IndexFile, embedder: PhotoEmbedder, photos: Make) -> LandmarkRecogniser:
    for name, colour in (("red", RED), ("green", GREEN)):
        landmark = new_landmark(name, city="Rome", position=ROME)
        enrol(file, embedder, landmark, see_photos(photos(name, colour), embedder))
    others = see_photos(photos("others", GREY, 120, spread=60), embedder, thumbnails=False)
    with file.changing():
        file.put_others(others.references)
        file.tell("false_alarms", 0.05)
    return LandmarkRecogniser(embedder, LandmarkIndex.of(file))


def test_a_photo_of_one_is_named_with_what_it_rests_on(recogniser: LandmarkRecogniser, photos: Make) -> None:
    answer = recogniser.recognise(photos("new", RED, 1, seed=9)[0])
    assert answer.landmark is not None
    assert answer.landmark.id == "red/rome"
    assert answer.reason is None
    assert [each.landmark.id for each in answer.candidates] == ["red/rome", "green/rome"]
    first, second = answer.candidates
    assert first.similarity > first.threshold
    assert second.rejection == "similarity"
    assert answer.margin == pytest.approx(first.similarity - second.similarity)
    assert len(answer.references) == 3
    assert "red" in answer.references[0].id
    assert answer.references[0].similarity >= answer.references[2].similarity
    assert answer.index == "made"


def test_a_photo_of_nothing_is_refused_and_says_why(recogniser: LandmarkRecogniser, photos: Make) -> None:
    refused = [recogniser.recognise(path) for path in photos("nothing", GREY, 40, spread=60, seed=7)]
    assert sum(each.landmark is None for each in refused) >= 36
    one = next(each for each in refused if each.landmark is None)
    assert one.reason is not None
    assert "is needed" in one.reason
    assert one.references


def test_a_veto_takes_a_landmark_away_and_brings_none(recogniser: LandmarkRecogniser, photos: Make) -> None:
    path = photos("new", RED, 1, seed=9)[0]
    embedding = recogniser.embedder.embed(
        [np.asarray([[(200, 20, 20)] * 16] * 16, np.uint8)]
    )[0]  # fmt: skip
    assert recogniser.answer(embedding, None, ROME).landmark is not None
    far = recogniser.answer(embedding, None, TOKYO)
    assert far.landmark is None
    assert "50 km from red" in str(far.reason)
    assert far.candidates[0].rejection == "position"
    assert recogniser.recognise(path, scene=Scene("kitchen", 0.0)).landmark is not None  # nobody knows where red is


def test_an_empty_index_says_none(embedder: PhotoEmbedder, file: IndexFile, photos: Make) -> None:
    answer = LandmarkRecogniser(embedder, LandmarkIndex.of(file)).recognise(photos("new", RED, 1)[0])
    assert answer.landmark is None
    assert answer.reason == "the index has no landmark"
    assert answer.margin is None


def test_another_embedding_is_refused(embedder: PhotoEmbedder, tmp_path: Path) -> None:
    for identity in (EmbeddingIdentity("colours", "0" * 32, 3), EmbeddingIdentity("colours", "0" * 32, 8)):
        other = IndexFile.create(tmp_path / f"{identity.size}.landmarks", identity)
        with pytest.raises(IndexIncompatible, match="made by the embedding of colours"):
            LandmarkRecogniser(embedder, LandmarkIndex.of(other))


def test_a_photo_without_a_number_is_an_error_of_its_own(embedder: PhotoEmbedder) -> None:
    broken = PhotoEmbedder(embedder.bundle, _Broken())  # type: ignore[arg-type]
    with pytest.raises(NoAnswer):
        broken.embed([np.zeros((16, 16, 3), np.uint8)])


def test_the_digest_follows_all_that_answers_depend_on(
    recogniser: LandmarkRecogniser, embedder: PhotoEmbedder, photos: Make
) -> None:
    file, before = recogniser.index.file, recogniser.index.digest
    assert LandmarkIndex.of(file).digest == before
    enrol(file, embedder, new_landmark("blue"), see_photos(photos("blue", BLUE), embedder))
    assert LandmarkIndex.of(file).digest != before


class _Broken:
    def run(self, images: list[np.ndarray], outputs: list[str]) -> dict[str, np.ndarray]:
        return {outputs[0]: np.full((len(images), 3), np.nan, np.float32)}
