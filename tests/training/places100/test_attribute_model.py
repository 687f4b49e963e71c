"""Attributes learnt from a made world: what the embedding adds is found, and nothing held out leaks in."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="the extra learn is not installed")

from veduta.recognition.attributes import AttributeReading, probabilities
from veduta.records import Label
from veduta.training.places100.attribute_figures import each_attribute, figures_of
from veduta.training.places100.attribute_model import (
    CHOICES,
    Annotated,
    AttributeModel,
    Scenes,
    _fit_scaling,
    mean_precision,
)

CLASSES, SIZE, SEEN = 8, 10, 160
NAMES = ("by scene", "by photo", "by both", "never")
ATTRIBUTES = tuple(Label(name, name) for name in NAMES)
FEW = CHOICES[::7]
LABELS = tuple(Label(f"scene{place}", "") for place in range(CLASSES))


def made_model(seed: int = 0) -> AttributeModel:
    """Each scene has a place among embeddings; the last number of an embedding, which scenes do not tell, is the
    photo's own. One attribute follows from the scene, one from that number, one from both.
    """
    random = np.random.default_rng(seed)
    places = np.hstack([random.normal(size=(CLASSES, SIZE - 1)) * 2, np.zeros((CLASSES, 1))])

    def photos(scene: np.ndarray) -> np.ndarray:
        return (places[scene] + random.normal(size=(len(scene), SIZE))).astype(np.float32)

    def attributes(scene: np.ndarray, own: np.ndarray) -> np.ndarray:
        by_scene = (scene % 2 == 0) ^ (random.random(len(scene)) < 0.1)
        by_photo = (own > 0) ^ (random.random(len(scene)) < 0.1)
        return np.stack([by_scene, by_photo, by_scene & by_photo, np.zeros(len(scene), bool)], axis=1)

    targets = np.repeat(np.arange(CLASSES), 60)
    scene = np.tile(np.arange(CLASSES), 50)
    embeddings = photos(scene)
    present = attributes(scene, embeddings[:, -1])
    distance = ((embeddings[:, None] - places) ** 2).sum(axis=2)
    chances = np.exp(-distance / 2 + distance.min(axis=1, keepdims=True) / 2)
    place = np.arange(SEEN)
    annotated = Annotated(
        present,
        tuple(LABELS[each].id for each in scene),
        place,
        embeddings[place],
        (chances / chances.sum(axis=1, keepdims=True))[place].astype(np.float32),
    )
    return AttributeModel(Scenes(photos(targets), targets, CLASSES), annotated, LABELS)


def test_what_the_photo_itself_tells_is_found_beyond_the_frequencies() -> None:
    model = made_model()
    judged = model.judge(by_category=False, choices=FEW)
    figures = {each.label.id: each for each in each_attribute(judged, model.annotated, ATTRIBUTES)}
    assert set(figures) == set(NAMES[:3])
    assert figures["by photo"].frequencies < 0.65
    assert figures["by photo"].model > figures["by photo"].frequencies + 0.15
    assert figures["by scene"].model > figures["by scene"].frequencies - 0.05


def test_figures_compare_the_two_on_the_same_photos() -> None:
    model = made_model()
    figures = figures_of(model.judge(by_category=False, choices=FEW), model.annotated, by_category=False, rounds=20)
    assert (figures.photos, figures.attributes) == (SEEN, 3)
    low, high = figures.precision.gain_interval
    assert 0 < low < high
    assert figures.precision.frequencies < figures.precision.model <= 1
    assert [metric.value for metric in figures.metrics] == [
        round(each, 4) for each in (figures.precision.model, figures.precision.frequencies)
    ]
    assert figures.calibration.photos == SEEN


@pytest.mark.parametrize("by_category", [False, True])
def test_no_answer_depends_on_the_annotations_of_photos_that_were_held_out_with_it(by_category: bool) -> None:
    model = made_model()
    judged = model.judge(by_category, choices=FEW)
    held = judged.part == 2
    present = model.annotated.present.copy()
    present[np.flatnonzero(held)] = ~present[np.flatnonzero(held)]
    other = AttributeModel(model.scenes, replace(model.annotated, present=present), LABELS).judge(
        by_category, choices=FEW
    )
    np.testing.assert_array_equal(other.part, judged.part)
    np.testing.assert_allclose(other.probabilities[held], judged.probabilities[held])
    np.testing.assert_allclose(other.counted[held], judged.counted[held])
    assert other.choices[2] == judged.choices[2]
    assert not np.allclose(other.probabilities[~held], judged.probabilities[~held])


def test_with_categories_held_out_no_fold_shares_one() -> None:
    model = made_model()
    part = model.judge(by_category=True, choices=FEW).part
    scenes = np.array([model.annotated.categories[place] for place in model.annotated.place])
    assert all(len(set(part[scenes == name])) == 1 for name in set(scenes.tolist()))


def test_answers_are_scaled_to_what_came_true() -> None:
    random = np.random.default_rng(1)
    answers = random.random((4000, 2))
    true = random.random(answers.shape) < probabilities(answers, 2.0, -0.5)
    scaling = _fit_scaling(answers, true)
    assert (scaling.slope, scaling.offset) == (pytest.approx(2, abs=0.15), pytest.approx(-0.5, abs=0.15))


def test_the_table_answers_as_it_was_learnt_and_says_what_nobody_showed() -> None:
    model = made_model()
    table, choice = model.fit(ATTRIBUTES)
    assert table.spec.sources == ("photo", "photo", "photo", "scene")
    assert table.spec.photo_share == choice.share
    assert not table.weight[3].any()
    read = AttributeReading(table)
    said = np.zeros((SEEN, 4))
    for row, (scene, embedding) in enumerate(zip(model.annotated.scene, model.annotated.embeddings, strict=True)):
        for each in read(scene, embedding) or ():
            said[row, NAMES.index(each.label.id)] = each.probability
    assert mean_precision(said, model.annotated.seen) > 0.75
    assert said[:, 3].max() < 0.05


def test_the_same_seed_learns_the_same() -> None:
    first, second = (made_model().fit(ATTRIBUTES)[0] for _ in range(2))
    np.testing.assert_array_equal(first.weight, second.weight)
    assert first.spec == second.spec


def test_a_scene_of_which_nothing_is_known_stays_out_of_the_answers() -> None:
    model = made_model()
    strange = (*LABELS[:-1], Label("elsewhere", ""))
    table, _ = AttributeModel(model.scenes, model.annotated, strange).fit(ATTRIBUTES)
    assert np.isnan(table.frequencies[:, -1]).all()
    assert np.isfinite(table.frequencies[:, :-1]).all()
    assert np.isfinite(table.weight).all()
