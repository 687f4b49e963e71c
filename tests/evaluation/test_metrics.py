from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from veduta.errors import UsageError
from veduta.evaluation.metrics import (
    bootstrap_interval,
    class_figures,
    condensed,
    confusion_matrix,
    mean_recall,
    most_confused,
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


@given(answers)
def test_the_rows_of_a_confusion_matrix_sum_to_the_photos_of_a_class(pairs: list[tuple[int, int]]) -> None:
    targets, said = np.array(pairs).T
    matrix = confusion_matrix(targets, said, 4)
    assert matrix.sum(axis=1).tolist() == np.bincount(targets, minlength=4).tolist()
    assert matrix.sum(axis=0).tolist() == np.bincount(said, minlength=4).tolist()
    there, rows = condensed(matrix, LABELS)
    assert rows.sum() == len(pairs)
    assert [label.id for label in there] == [LABELS[index].id for index in np.unique(targets)]


@given(answers)
def test_figures_and_confusions_of_classes_account_for_every_photo(pairs: list[tuple[int, int]]) -> None:
    targets, said = np.array(pairs).T
    matrix = confusion_matrix(targets, said, 4)
    figures = class_figures(matrix, LABELS)
    right = sum(round(each.recall * each.photos) for each in figures)
    assert sum(each.photos for each in figures) == len(pairs)
    assert right + sum(pair.photos for pair in most_confused(matrix, LABELS, 16)) == len(pairs)
    for each in figures:
        assert each.recall_interval[0] <= each.recall <= each.recall_interval[1]
        assert (each.precision is None) == (each.said == 0)
    mean, (low, high) = mean_recall(matrix)
    assert 0.0 <= low <= mean <= high <= 1.0


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
    assert class_figures(confusion_matrix(none, none, 4), LABELS) == ()
    assert mean_recall(np.zeros((4, 4), np.int64)) == (0.0, (0.0, 1.0))
