from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from veduta.errors import UsageError
from veduta.evaluation.metrics import (
    bootstrap_interval,
    class_figures,
    condensed,
    confusion_matrix,
    mean_recall,
    most_confused,
    newcombe_interval,
    paired_difference,
    top_k_hits,
    wilson_interval,
)
from veduta.records import Label

LABELS = tuple(Label(name, name) for name in ("bar", "field", "kitchen", "sea"))
answers = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=60)


def test_top_k_counts_the_target_among_the_k_highest() -> None:
    scores = np.array([[0.1, 0.6, 0.3], [0.5, 0.2, 0.3]])
    targets = np.array([2, 2])
    assert top_k_hits(scores, targets, 1).tolist() == [False, False]
    assert top_k_hits(scores, targets, 2).tolist() == [True, True]


def test_the_interval_of_a_share_is_wilsons_and_narrows_with_the_count() -> None:
    low, high = wilson_interval(50, 100)
    assert (low, high) == pytest.approx((0.4038, 0.5962), abs=1e-4)
    assert wilson_interval(5000, 10000)[0] > low
    assert wilson_interval(0, 10)[0] == 0.0
    assert wilson_interval(10, 10)[1] == 1.0
    assert wilson_interval(0, 0) == (0.0, 1.0)


@given(st.integers(1, 100_000).flatmap(lambda count: st.tuples(st.integers(0, count), st.just(count))))
def test_the_interval_holds_the_share_and_stays_within_zero_and_one(hits_of: tuple[int, int]) -> None:
    hits, count = hits_of
    low, high = wilson_interval(hits, count)
    assert 0.0 <= low <= hits / count <= high <= 1.0


def test_the_bootstrap_agrees_with_wilson_about_a_share() -> None:
    hits = np.arange(1000) < 300
    found = bootstrap_interval(lambda drawn: float(drawn.mean()), hits)
    assert found == pytest.approx(wilson_interval(300, 1000), abs=0.005)


def test_the_bootstrap_draws_the_same_photos_of_every_sample() -> None:
    values = np.arange(50.0)
    assert bootstrap_interval(lambda a, b: float((a - b).sum()), values, values, rounds=50) == (0.0, 0.0)


@pytest.mark.parametrize("samples", [(np.zeros(0),), (np.zeros(3), np.zeros(4)), ()])
def test_samples_of_no_or_different_photos_have_no_interval(samples: tuple[np.ndarray, ...]) -> None:
    with pytest.raises(UsageError, match="same photos"):
        bootstrap_interval(lambda *drawn: 0.0, *samples)


def test_a_gain_on_the_same_photos_is_seen_where_the_two_intervals_overlap() -> None:
    first = np.arange(1000) < 500
    second = np.arange(1000) < 520
    gain, (low, high) = paired_difference(first, second)
    assert gain == pytest.approx(0.02)
    assert 0.0 < low < 0.02 < high
    assert wilson_interval(500, 1000)[1] > wilson_interval(520, 1000)[0]


@settings(deadline=None)
@given(answers)
def test_the_rows_of_a_confusion_matrix_sum_to_the_photos_of_a_class(pairs: list[tuple[int, int]]) -> None:
    targets, said = np.array(pairs).T
    matrix = confusion_matrix(targets, said, 4)
    assert matrix.sum(axis=1).tolist() == np.bincount(targets, minlength=4).tolist()
    assert matrix.sum(axis=0).tolist() == np.bincount(said, minlength=4).tolist()
    there, rows = condensed(matrix, LABELS)
    assert rows.sum() == len(pairs)
    assert [label.id for label in there] == [LABELS[index].id for index in np.unique(targets)]


@settings(deadline=None, max_examples=25)
@given(answers)
def test_figures_and_confusions_of_classes_account_for_every_photo(pairs: list[tuple[int, int]]) -> None:
    targets, said = np.array(pairs).T
    matrix = confusion_matrix(targets, said, 4)
    figures = class_figures(targets, said, LABELS).classes
    right = sum(round(each.recall * each.photos) for each in figures)
    assert sum(each.photos for each in figures) == len(pairs)
    assert right + sum(pair.photos for pair in most_confused(matrix, LABELS, 16)) == len(pairs)
    for each in figures:
        assert each.recall_interval[0] <= each.recall <= each.recall_interval[1]
        assert (each.precision is None) == (each.said == 0)
        assert 0.0 <= each.f1_interval[0] <= each.f1_interval[1] <= 1.0
    mean, (low, high) = mean_recall(matrix)
    assert 0.0 <= low <= mean <= high <= 1.0


def test_the_figures_of_classes_are_scikit_learns_and_their_means_count_a_class_that_nothing_was_called() -> None:
    from sklearn.metrics import f1_score, precision_score, recall_score

    random = np.random.default_rng(4)
    targets = random.integers(0, 3, 200)
    said = np.where(random.random(200) < 0.6, targets, random.integers(0, 2, 200))
    said[said == 2] = 0
    found = class_figures(targets, said, LABELS)
    assert [each.label.id for each in found.classes] == ["bar", "field", "kitchen"]
    for place, each in enumerate(found.classes):
        for value, score in ((each.recall, recall_score), (each.precision, precision_score), (each.f1, f1_score)):
            expected = score(targets, said, labels=[place], average=None, zero_division=0)[0]
            assert (value or 0.0) == pytest.approx(expected)
    kitchen = found.classes[2]
    assert (kitchen.said, kitchen.precision, kitchen.f1) == (0, None, 0.0)
    assert found.precision == pytest.approx(precision_score(targets, said, average="macro", zero_division=0))
    assert found.f1 == pytest.approx(f1_score(targets, said, average="macro", zero_division=0))
    assert found.f1_interval[0] < found.f1 < found.f1_interval[1]
    assert class_figures(targets, said, LABELS).classes == found.classes


def test_what_is_none_of_the_classes_counts_against_a_class_and_is_none_itself() -> None:
    (bar,) = class_figures(np.array([0, 0, 0]), np.array([0, 4, 4]), LABELS).classes
    assert (bar.photos, bar.said, bar.precision) == (3, 1, 1.0)
    assert bar.recall == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("first", "second", "interval"),
    [
        # Newcombe 1998, table II, method 10.
        ((56, 70), (48, 80), (0.0524, 0.3339)),
        ((9, 10), (3, 10), (0.1705, 0.8090)),
        ((5, 56), (0, 29), (-0.0381, 0.1926)),
        ((0, 10), (0, 10), (-0.2775, 0.2775)),
        ((10, 10), (0, 10), (0.6075, 1.0)),
    ],
)
def test_the_interval_of_a_difference_of_shares_is_newcombes(
    first: tuple[int, int], second: tuple[int, int], interval: tuple[float, float]
) -> None:
    assert newcombe_interval(first, second) == pytest.approx(interval, abs=1e-4)
    low, high = newcombe_interval(second, first)
    assert (-high, -low) == pytest.approx(interval, abs=1e-4)


def test_the_most_confused_come_by_their_share_of_the_class_and_never_name_what_was_right() -> None:
    matrix = np.array([[8, 2, 0, 0], [0, 90, 10, 0], [1, 0, 0, 1], [0, 0, 0, 0]])
    pairs = most_confused(matrix, LABELS, 3)
    assert [(pair.true.id, pair.predicted.id, pair.share, pair.photos) for pair in pairs] == [
        ("kitchen", "bar", 0.5, 1),
        ("kitchen", "sea", 0.5, 1),
        ("bar", "field", 0.2, 2),
    ]
    assert most_confused(np.diag([3, 3, 3, 3]), LABELS) == ()


def test_the_mean_recall_weighs_a_small_class_like_a_large_one() -> None:
    matrix = np.array([[90, 10, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]])
    mean, (low, high) = mean_recall(matrix)
    assert mean == pytest.approx(0.7)
    assert high - low > 0.3  # two photos tell little


def test_no_photos_give_an_empty_matrix_and_no_figures() -> None:
    none = np.zeros(0, np.int64)
    assert confusion_matrix(none, none, 4).sum() == 0
    with pytest.raises(UsageError, match="need photos"):
        class_figures(none, none, LABELS)
    assert mean_recall(np.zeros((4, 4), np.int64)) == (0.0, (0.0, 1.0))
