from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from veduta.errors import UsageError
from veduta.evaluation.label_map import LabelMap, wider_classes
from veduta.evaluation.levels import Level, check_meanings, class_level, judge_level, wider_level
from veduta.labels.categories import places100
from veduta.labels.taxonomy import Taxonomy
from veduta.recognition.scoring import probabilities
from veduta.records import Label

TAXONOMY = Taxonomy.load(None)
LABELS = TAXONOMY.apply(places100())
PLACE = {label.id: index for index, label in enumerate(LABELS)}


def coarse(*names: str, **same: str) -> Level:
    level = wider_level("coarse", LABELS, TAXONOMY, names, LabelMap(same))
    assert level is not None
    return level


def mapped(pairs: dict[str, str], *names: str) -> Level:
    taxonomy = wider_classes(LabelMap(pairs), places100())
    level = wider_level("map", taxonomy.apply(places100()), taxonomy, names, LabelMap())
    assert level is not None
    return level


@given(st.integers(0, 2**31))
def test_probabilities_of_a_level_sum_to_one_and_its_leading_class_lies_in_the_label(seed: int) -> None:
    random = np.random.default_rng(seed)
    said = probabilities(random.normal(0, 4, (3, 100)).astype(np.float32), "single_label", 1.0)
    for level in (class_level(LABELS, [], LabelMap()), coarse(), mapped({"bar": "drinks", "office": "work"})):
        summed = level.probabilities(said)
        assert summed.shape == (3, len(level.labels))
        assert summed.sum(axis=1) == pytest.approx(1.0, abs=1e-5)
        places = summed.argmax(axis=1)
        for row, (place, leading) in enumerate(zip(places, level.leading_class(said, places), strict=True)):
            assert level.label_of[leading] == place
            inside = [said[row, at] for at, of in enumerate(level.label_of) if of == place]
            assert said[row, leading] == max(inside)


def test_names_are_judged_absent_or_unnamed_with_what_resembles_them() -> None:
    mapping = coarse("airport", "ocean", "landscape", "ice_skating", "art_gallery").mapping
    assert mapping.judged == {"airport": "airport", "art_gallery": "museum"}
    assert mapping.absent == {"ocean": "sea"}
    assert list(mapping.unnamed) == ["landscape", "ice_skating"]
    assert mapping.unnamed["landscape"] == ()
    assert "ice_skating_rink/outdoor" in mapping.unnamed["ice_skating"]
    told = coarse("ice_skating", "airport", ice_skating="ice_rink").mapping
    assert told.judged == {"ice_skating": "ice_rink", "airport": "airport"}


def test_a_name_may_mean_a_class_a_wider_class_or_what_the_map_of_labels_says() -> None:
    classes = class_level(LABELS, ["Church-Outdoor", "kichen", "room"], LabelMap({"room": "living room"})).mapping
    assert classes.judged == {"Church-Outdoor": "church/outdoor", "room": "living_room"}
    assert classes.unnamed == {"kichen": ("kitchen",)}
    level = mapped({"bar": "drinks", "restaurant": "drinks", "kitchen": "food"}, "bar", "drinks", "office", "cat")
    assert level.mapping.judged == {"bar": "drinks", "drinks": "drinks", "office": "office"}
    assert list(level.mapping.unnamed) == ["cat"]
    assert len(level.labels) == 99


@pytest.mark.parametrize(
    ("same", "told"),
    [
        ({"tennis": "stadium"}, "'tennis' is no class of the set"),
        ({"airprt": "stadium"}, r"did you mean 'airport'\?"),
        ({"airport": "stadum"}, r"'stadum', which 'airport' is to mean, .* did you mean 'stadium'"),
        ({"airport": "nature"}, "no label that is judged"),
    ],
)
def test_a_meaning_of_no_name_or_no_label_is_refused_with_the_nearest(same: dict[str, str], told: str) -> None:
    level = coarse("airport", **same)
    with pytest.raises(UsageError, match=told):
        check_meanings(LabelMap(same, "--same"), [level.mapping], level.labels)


def test_the_sum_over_a_coarse_label_decides_and_not_the_best_scene() -> None:
    # Two kinds of sports field together outdo the one ski slope that is ahead of each.
    row = np.zeros((1, 100), np.float32)
    row[0, [PLACE["baseball_field"], PLACE["golf_course"], PLACE["ski_slope"]]] = 0.3, 0.3, 0.4
    found = judge_level(coarse("football_field"), row, ["football_field"], "made")
    assert found.judgement.metrics[0].value == 1.0
    assert found.folders[0].recall == 1.0
    assert [each.label.id for each in found.renamed] == ["football_field"]
    assert found.judgement.probabilities.max() == pytest.approx(0.6)


def test_photos_of_other_names_count_nowhere() -> None:
    rows = np.full((3, 100), 0.01, np.float32)
    level = coarse("airport", "landscape")
    found = judge_level(level, rows, ["landscape", "airport", "landscape"], "made")
    assert found.judgement.photos == found.judgement.matrix.sum() == 1
    assert found.rows.tolist() == [1]
    assert found.renamed == ()
    with pytest.raises(UsageError, match="no photo is of one of the everyday labels"):
        judge_level(level, rows, ["landscape"] * 3, "made")


def test_several_names_of_one_label_are_told_apart() -> None:
    row = np.zeros((4, 100), np.float32)
    row[:, PLACE["rainforest"]] = 1.0
    row[3] = 0.0
    row[3, PLACE["office"]] = 1.0
    names = ["bamboo_forest", "bamboo_forest", "rainforest", "rainforest"]
    found = judge_level(coarse("bamboo_forest", "rainforest"), row, names, "made")
    assert [(each.label.id, each.photos, each.recall) for each in found.folders] == [
        ("bamboo_forest", 2, 1.0),
        ("rainforest", 2, 0.5),
    ]


def test_the_models_own_classes_are_judged_by_their_coarse_labels() -> None:
    said = np.eye(100, dtype=np.float32)[[PLACE["bar"], PLACE["kitchen"]]]
    judgement = judge_level(coarse("restaurant", "bar"), said, ["restaurant", "bar"], "made").judgement
    assert judgement.metrics[0].value == 0.5  # a bar is a restaurant, a kitchen is not
    bare = tuple(Label(label.id, label.name) for label in LABELS)
    assert wider_level("coarse", bare, TAXONOMY, ["bar"], LabelMap()) is None


@pytest.mark.slow
def test_the_bundled_model_knows_most_of_another_sets_places_by_coarse_label(shared_data: Path) -> None:
    from veduta.evaluation.answers import ask, list_labelled
    from veduta.images.pool import DecodePool
    from veduta.recognition.tagger import load

    samples = list_labelled(shared_data / "sun27")
    few = [sample for index, sample in enumerate(samples) if index % 5 == 0]
    tagger = load("places100", threads=1)
    with DecodePool(1) as pool:
        answers = ask(tagger, few, pool)
    assert not answers.failures
    names = sorted({sample.label or "" for sample in samples})
    level = wider_level("coarse", tagger.labels, tagger.taxonomy, names, LabelMap())
    assert level is not None
    assert len(names) == 27
    assert len(level.mapping.judged) == 18
    assert set(level.mapping.absent) == {"library", "ocean", "park", "sky", "waterfall", "windmill"}
    assert set(level.mapping.unnamed) == {"ice_skating", "landscape", "tennis_court"}
    found = judge_level(level, answers.probabilities, [sample.label or "" for sample in answers.samples], "sun27")
    assert found.judgement.metrics[0].value > 0.55
