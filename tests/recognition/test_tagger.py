from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from veduta.errors import BundleNotFound, CorruptPhoto, NoAnswer, PhotoNotFound, UsageError
from veduta.images.decode import decode
from veduta.jobs.ledger import Ledger
from veduta.jobs.pipeline import tag_photos
from veduta.jobs.plan import layout_of
from veduta.jobs.writers import open_writer
from veduta.recognition.tagger import Tagger, load
from veduta.records import Label, Sample

MakeTagger = Callable[..., Tagger]
GREEN = Image.new("RGB", (40, 30), (0, 204, 51))  # logits 0, 8, 2


def _softmax(*logits: float) -> list[float]:
    raised = np.exp(np.array(logits))
    return list(raised / raised.sum())


def test_scores_are_the_softmax_of_the_logits_over_the_temperature(make_tagger: MakeTagger) -> None:
    prediction = make_tagger(temperature=2.0).predict(GREEN)
    assert [score.label.id for score in prediction.scores] == ["forest_path", "ocean", "kitchen"]
    kitchen, forest, ocean = _softmax(0, 4, 1)
    assert [score.probability for score in prediction.scores] == pytest.approx([forest, ocean, kitchen], rel=1e-5)
    assert prediction.calibrated


def test_a_model_without_a_temperature_says_that_it_is_not_calibrated(make_tagger: MakeTagger) -> None:
    prediction = make_tagger(temperature=None).predict(GREEN)
    assert not prediction.calibrated
    assert prediction.scores[0].probability == pytest.approx(_softmax(0, 8, 2)[1], rel=1e-5)


def test_a_multi_label_head_gives_sigmoids_and_neither_sums_nor_environment(make_tagger: MakeTagger) -> None:
    prediction = make_tagger(task="multi_label").predict(GREEN)
    assert prediction.scores[0].probability == pytest.approx(1 / (1 + np.exp(-4)), rel=1e-5)
    assert prediction.coarse is None
    assert prediction.environment is None


def test_coarse_labels_and_environment_come_from_the_whole_distribution(make_tagger: MakeTagger) -> None:
    prediction = make_tagger(top_k=1).predict(GREEN)
    kitchen, forest, ocean = _softmax(0, 4, 1)
    assert len(prediction.scores) == 1
    assert prediction.coarse is not None
    assert prediction.coarse[0].label.id == "forest"
    assert prediction.coarse[0].probability == pytest.approx(forest, rel=1e-5)
    assert prediction.environment is not None
    assert prediction.environment.outdoor_probability == pytest.approx(forest + ocean, rel=1e-5)
    assert prediction.environment.outdoor_vote == pytest.approx(2 / 3)
    assert kitchen < 0.1


def test_labels_that_carry_no_fact_leave_its_part_out(make_tagger: MakeTagger) -> None:
    objects = tuple(Label(name, name) for name in ("teapot", "spoon", "sieve"))
    prediction = make_tagger(labels=objects).predict(GREEN)
    assert prediction.coarse is None
    assert prediction.environment is None
    assert prediction.attributes is None
    assert prediction.evidence is None
    assert prediction.fits


def test_attributes_are_those_that_reach_their_thresholds(make_tagger: MakeTagger) -> None:
    prediction = make_tagger(attributes=True).predict(Image.new("RGB", (20, 20), (130, 135, 0)))
    assert prediction.attributes is not None
    assert [score.label.id for score in prediction.attributes] == ["warm"]


def test_evidence_below_the_threshold_says_that_nothing_fits_and_why(make_tagger: MakeTagger) -> None:
    tagger = make_tagger(evidence=True)
    dark = tagger.predict(Image.new("RGB", (20, 20), (50, 60, 70)))
    assert not dark.fits
    assert dark.evidence is not None
    assert dark.evidence.value == pytest.approx(70)
    assert dark.evidence.reason == "the photo is too dark to be a place"
    bright = tagger.predict(GREEN)
    assert bright.fits
    assert bright.evidence is not None
    assert bright.evidence.reason is None


def test_a_dropped_class_leaves_its_probability_to_the_others(make_tagger: MakeTagger) -> None:
    prediction = make_tagger(drop=["forest_path"]).predict(GREEN)
    kitchen, _, ocean = _softmax(0, -np.inf, 1)
    assert [score.label.id for score in prediction.scores] == ["ocean", "kitchen"]
    assert prediction.scores[0].probability == pytest.approx(ocean, rel=1e-5)
    assert prediction.environment is not None
    assert prediction.environment.outdoor_probability == pytest.approx(1 - kitchen, rel=1e-5)


def test_an_embedding_is_there_where_it_was_asked_for(make_tagger: MakeTagger) -> None:
    assert make_tagger("without").predict(GREEN).embedding is None
    embedding = make_tagger("with", embedding=True).predict(GREEN).embedding
    assert embedding is not None
    np.testing.assert_allclose(embedding, [0, 204, 51], atol=0.01)


def test_a_path_its_bytes_and_its_image_get_the_same_answer(make_tagger: MakeTagger, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    GREEN.save(buffer, "PNG")
    (tmp_path / "green.png").write_bytes(buffer.getvalue())
    tagger = make_tagger()
    answers = [tagger.predict(source) for source in (tmp_path / "green.png", buffer.getvalue(), GREEN)]
    assert answers[0].scores == answers[1].scores == answers[2].scores
    assert answers[0].crop == answers[2].crop == (5.0, 0.0, 35.0, 30.0)
    assert answers[0].facts.format == "PNG"


def test_many_photos_get_the_answers_that_each_gets_alone(make_tagger: MakeTagger) -> None:
    tagger = make_tagger()
    photos = []
    for seed in range(7):
        buffer = io.BytesIO()
        noise = np.random.default_rng(seed).integers(0, 256, (30, 30, 3), np.uint8)
        Image.fromarray(noise).save(buffer, "PNG")
        photos.append(decode(buffer.getvalue(), [tagger.preprocessing]))
    together = tagger.predict_photos(photos)
    assert together == [tagger.predict_photos([photo])[0] for photo in photos]
    assert tagger.predict_photos([]) == []


def test_bad_sources_and_bad_arguments_are_told(make_tagger: MakeTagger, tmp_path: Path) -> None:
    tagger = make_tagger()
    with pytest.raises(PhotoNotFound, match=r"none\.jpg"):
        tagger.predict(tmp_path / "none.jpg")
    with pytest.raises(CorruptPhoto):
        tagger.predict(b"\xff\xd8\xff\xe0 and no more")
    with pytest.raises(UsageError, match="top_k"):
        make_tagger("none", top_k=0)
    with pytest.raises(BundleNotFound, match="places100"):
        load("places101")


def test_a_photo_that_the_model_gives_no_number_for_has_no_answer(make_tagger: MakeTagger) -> None:
    with pytest.raises(NoAnswer, match="colours"):
        make_tagger().predict(Image.new("RGB", (20, 20)))


def test_in_a_job_such_a_photo_fails_and_the_others_are_answered(make_tagger: MakeTagger, tmp_path: Path) -> None:
    for name, colour in (("a", (0, 204, 51)), ("b", (0, 0, 0)), ("c", (204, 0, 51)), ("d", (0, 0, 0))):
        Image.new("RGB", (20, 20), colour).save(tmp_path / f"{name}.png")
    samples = [Sample(str(tmp_path / f"{name}.png")) for name in "abcd"]
    target = tmp_path / "out.jsonl"
    tagger = make_tagger()
    with Ledger.temporary() as ledger:
        summary = tag_photos(
            samples, [tagger], ledger=ledger, sinks=[open_writer(target, layout_of([tagger]))], workers=1
        )
    rows = [json.loads(line) for line in target.read_text().splitlines()]
    assert [row.get("error") for row in rows] == [None, "NoAnswer", None, "NoAnswer"]
    assert (summary.answered, summary.failed) == (2, 2)


def test_the_bundled_model_knows_a_real_photo(shared_data: Path) -> None:
    tagger = load(threads=1)
    prediction = tagger.predict(shared_data / "samples_cc0" / "aquarium.jpg")
    assert prediction.scores[0].label.id == "aquarium"
    assert prediction.environment is not None


def test_another_size_is_what_the_decoder_is_asked_for_and_no_longer_counts_as_calibrated() -> None:
    usual, small = load(), load(size=64)
    assert usual.predict(GREEN).calibrated
    assert not small.predict(GREEN).calibrated
    assert small.preprocessing.sizes == ((64, 64),)
    assert load(size=usual.preprocessing.sizes[0][0]).predict(GREEN) == usual.predict(GREEN)


def test_a_job_at_another_size_is_not_answered_from_the_ledger(tmp_path: Path) -> None:
    photo = tmp_path / "slope.png"
    Image.linear_gradient("L").convert("RGB").save(photo)
    with Ledger.open(tmp_path / "ledger.sqlite3") as ledger:
        answered = [
            tag_photos([Sample(str(photo))], [load(size=size)], ledger=ledger, sinks=[]).from_ledger
            for size in (None, 64, 64, None)
        ]
    assert answered == [0, 0, 1, 1]
