from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="the extra evaluate is not installed")

from veduta.errors import UsageError
from veduta.evaluation.comparison import Outcome, compare_on, mean_average_precision
from veduta.evaluation.label_figures import judge_labels
from veduta.evaluation.metrics import paired_difference, wilson_interval
from veduta.evaluation.speed import Speed
from veduta.records import Label

SPEED = Speed(100.0, 90.0, 110.0, 32, 32, 1, "float32", "openvino", "a made machine", 3)
OUTCOME = Outcome(
    name="a",
    data="set",
    task="single_label",
    model="a",
    size=32,
    recipe="",
    classes=10,
    unknown=(),
    failures=0,
    effort=None,
    graph=SPEED,
    whole_way=SPEED,
    parameters=1000,
    disk_bytes=4000,
    bundle="a",
    bundle_id="0",
)


def _ranked(name: str, ranks: list[int], classes: int = 10) -> Outcome:
    return replace(OUTCOME, name=name, classes=classes, ranks=np.array(ranks, np.int64))


def test_shares_have_wilsons_interval_and_differences_are_paired() -> None:
    random = np.random.default_rng(0)
    good, bad = random.integers(1, 4, 200).tolist(), random.integers(1, 9, 200).tolist()
    first, second = compare_on([_ranked("bad", bad), _ranked("good", good)])
    hits = np.array(good) == 1, np.array(bad) == 1
    assert second.figures["top1"].value == hits[0].mean()
    assert second.figures["top1"].interval == wilson_interval(int(hits[0].sum()), 200)
    assert first.figures["top5"].value == (np.array(bad) <= 5).mean()
    assert second.difference is None
    assert first.against == second.against == "good"
    assert first.difference is not None
    assert (first.difference.value, first.difference.interval) == paired_difference(*hits)
    assert first.difference.interval[0] < first.difference.value < first.difference.interval[1] < 0


def test_the_difference_is_to_the_baseline_where_that_is_there() -> None:
    outcomes = [_ranked("good", [1, 1, 2]), _ranked("bad", [1, 2, 2])]
    assert [row.against for row in compare_on(outcomes, baseline="bad")] == ["bad", "bad"]
    assert [row.against for row in compare_on(outcomes, baseline="absent")] == ["good", "good"]
    assert compare_on([]) == ()


def test_only_photos_that_all_answered_count() -> None:
    first, second = compare_on([_ranked("a", [1, 0, 1, 2]), _ranked("b", [0, 1, 1, 1])])
    assert first.photos == second.photos == 2
    assert (first.figures["top1"].value, second.figures["top1"].value) == (0.5, 1.0)
    with pytest.raises(UsageError, match="no photo of set was answered by all of a, b"):
        compare_on([_ranked("a", [1, 0]), _ranked("b", [0, 1])])


def test_of_five_classes_or_fewer_no_top_5_is_told() -> None:
    assert list(compare_on([_ranked("a", [1, 2], classes=5)])[0].figures) == ["top1"]


def _scored(name: str, scores: np.ndarray) -> Outcome:  # type: ignore[type-arg]
    return replace(OUTCOME, name=name, task="multi_label", scores=scores.astype(np.float32))


def test_of_many_labels_the_mean_average_precision_is_that_of_an_evaluation_and_paired() -> None:
    random = np.random.default_rng(0)
    present = random.random((120, 3)) < 0.4
    good = np.clip(0.6 * present + 0.5 * random.random((120, 3)), 0, 1).astype(np.float32)
    bad = np.clip(good + 0.3 * random.standard_normal((120, 3)), 0, 1).astype(np.float32)
    second, first = compare_on([_scored("bad", bad), _scored("good", good)], present)
    judged = judge_labels([Label(each, each) for each in "abc"], good, present, "set").metrics[0]
    figure = first.figures["mean_average_precision"]
    assert round(figure.value, 4) == judged.value
    assert judged.interval is not None
    assert figure.interval == pytest.approx(judged.interval, abs=0.01)
    assert second.difference is not None
    low, high = second.difference.interval
    assert low < second.difference.value < high < 0
    widths = [each.interval[1] - each.interval[0] for each in (figure, second.figures["mean_average_precision"])]
    assert high - low < sum(widths), "a paired interval is narrower than two of their own"


def test_labels_and_photos_that_one_model_has_no_score_for_do_not_count() -> None:
    present = np.array([[1, 0], [0, 1], [1, 1], [0, 0]], bool)
    whole, part = np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.6], [0.1, 0.2]]), np.full((4, 2), np.nan)
    part[:3, 0] = [0.9, 0.1, 0.8]
    first, second = compare_on([_scored("whole", whole), _scored("part", part)], present)
    assert first.photos == second.photos == 3
    assert first.figures["mean_average_precision"].value == 1.0
    with pytest.raises(UsageError, match="no photo of set"):
        compare_on([_scored("whole", whole), _scored("none", np.full((4, 2), np.nan))], present)


def test_labels_that_no_photo_has_are_in_no_mean() -> None:
    said = np.array([[0.9, 0.5], [0.1, 0.5]], np.float32)
    assert mean_average_precision(said, np.array([[1, 0], [0, 0]], bool)) == 1.0
    assert np.isnan(mean_average_precision(said, np.zeros((2, 2), bool)))
