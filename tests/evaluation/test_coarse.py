from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from veduta.errors import UsageError
from veduta.evaluation.coarse import judge_by_coarse, judge_coarse, map_folders
from veduta.labels.categories import places100
from veduta.labels.taxonomy import Taxonomy
from veduta.recognition.scoring import CoarseSums, probabilities

TAXONOMY = Taxonomy.load(None)
LABELS = TAXONOMY.apply(places100())
PLACE = {label.id: index for index, label in enumerate(LABELS)}


@given(st.integers(0, 2**31))
def test_coarse_probabilities_sum_to_one_and_the_ranking_is_over_all_of_the_models(seed: int) -> None:
    logits = np.random.default_rng(seed).normal(0, 4, (3, 100)).astype(np.float32)
    sums = CoarseSums(LABELS)(probabilities(logits, "single_label", 1.0))
    assert sums.sum(axis=1) == pytest.approx(1.0, abs=1e-5)
    assert (sums >= 0).all()


def test_folders_are_judged_absent_or_unnamed() -> None:
    mapping = map_folders(["airport", "ocean", "landscape", "ice_skating"], TAXONOMY, LABELS)
    assert mapping.judged == {"airport": "airport"}
    assert mapping.absent == {"ocean": "sea"}
    assert mapping.unnamed == ("landscape", "ice_skating")
    told = map_folders(["ice_skating", "airport"], TAXONOMY, LABELS, {"ice_skating": "ice_rink"})
    assert told.judged == {"ice_skating": "ice_rink", "airport": "airport"}


@pytest.mark.parametrize("same", [{"tennis": "stadium"}, {"airport": "stadum"}, {"airport": "nature"}])
def test_a_meaning_of_no_folder_or_no_coarse_label_is_refused(same: dict[str, str]) -> None:
    with pytest.raises(UsageError, match=r"tennis|stadium|nature"):
        map_folders(["airport"], TAXONOMY, LABELS, same)


def test_the_sum_over_a_coarse_label_decides_and_not_the_best_scene() -> None:
    # Two kinds of sports field together outdo the one ski slope that is ahead of each.
    row = np.zeros((1, 100), np.float32)
    row[0, [PLACE["baseball_field"], PLACE["golf_course"], PLACE["ski_slope"]]] = 0.3, 0.3, 0.4
    mapping = map_folders(["football_field"], TAXONOMY, LABELS)
    found = judge_coarse(LABELS, row, ["football_field"], mapping, "made")
    assert found.judgement.metrics[0].value == 1.0
    assert found.folders[0].recall == 1.0
    assert found.judgement.probabilities.max() == pytest.approx(0.6)


def test_photos_of_other_folders_count_nowhere() -> None:
    rows = np.full((3, 100), 0.01, np.float32)
    mapping = map_folders(["airport", "landscape"], TAXONOMY, LABELS)
    found = judge_coarse(LABELS, rows, ["landscape", "airport", "landscape"], mapping, "made")
    assert found.judgement.photos == found.judgement.matrix.sum() == 1
    with pytest.raises(UsageError, match="no folder means"):
        judge_coarse(LABELS, rows, ["landscape"] * 3, mapping, "made")


def test_several_folders_of_one_coarse_label_are_told_apart() -> None:
    row = np.zeros((4, 100), np.float32)
    row[:, PLACE["rainforest"]] = 1.0
    row[3] = 0.0
    row[3, PLACE["office"]] = 1.0
    folders = ["bamboo_forest", "bamboo_forest", "rainforest", "rainforest"]
    mapping = map_folders(["bamboo_forest", "rainforest"], TAXONOMY, LABELS)
    found = judge_coarse(LABELS, row, folders, mapping, "made")
    assert [(each.label.id, each.photos, each.recall) for each in found.folders] == [
        ("bamboo_forest", 2, 1.0),
        ("rainforest", 2, 0.5),
    ]


def test_the_models_own_classes_are_judged_by_their_coarse_labels() -> None:
    said = np.eye(100, dtype=np.float32)[[PLACE["bar"], PLACE["kitchen"]]]
    targets = np.array([PLACE["restaurant"], PLACE["bar"]])
    judgement = judge_by_coarse(LABELS, said, targets, "made")
    assert judgement.metrics[0].value == 0.5  # a bar is a restaurant, a kitchen is not
    with pytest.raises(UsageError, match="coarse label"):
        judge_by_coarse(places100(), said, targets, "made")


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
    folders = sorted({sample.label or "" for sample in samples})
    mapping = map_folders(folders, tagger.taxonomy, tagger.labels)
    assert len(folders) == 27
    assert len(mapping.judged) == 18
    assert set(mapping.absent) == {"library", "ocean", "park", "sky", "waterfall", "windmill"}
    assert set(mapping.unnamed) == {"ice_skating", "landscape", "tennis_court"}
    seen = [sample.label or "" for sample in answers.samples]
    found = judge_coarse(tagger.labels, answers.probabilities, seen, mapping, "sun27")
    assert found.judgement.metrics[0].value > 0.55
