from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from veduta.errors import UsageError
from veduta.evaluation.evidence import auroc, evidence_metrics, kept, rejected, rejected_at, threshold_for

values = hnp.arrays(np.float32, st.integers(1, 60), elements=st.floats(-100, 100, width=32))


@given(values, st.floats(0, 1))
def test_the_threshold_keeps_the_wanted_share_and_a_higher_one_would_not(
    known: NDArray[np.float32], share: float
) -> None:
    threshold = threshold_for(known, share)
    assert (known >= threshold).mean() >= share - 1e-9
    above = known[known > threshold]
    if len(above) and share > 0:
        assert (known >= above.min()).mean() < share + 1e-9


@given(values, values)
def test_the_area_counts_the_pairs_in_order_and_its_interval_holds_it(
    known: NDArray[np.float32], strangers: NDArray[np.float32]
) -> None:
    above = (known[:, None] > strangers[None]).mean() + (known[:, None] == strangers[None]).mean() / 2
    found = auroc(known, strangers, "made")
    assert found.value == pytest.approx(above, abs=1e-4)
    assert found.interval is not None
    assert found.interval[0] - 1e-4 <= found.value <= found.interval[1] + 1e-4


def test_the_interval_of_the_area_is_delongs() -> None:
    random = np.random.default_rng(5)
    known, strangers = random.normal(1, 1, 400), random.normal(0, 1, 300)
    low, high = auroc(known, strangers, "made").interval or (0, 0)
    areas = []
    for _ in range(500):
        one, other = random.choice(known, 400), random.choice(strangers, 300)
        areas.append((one[:, None] > other[None]).mean())
    assert (low, high) == pytest.approx(tuple(np.quantile(areas, (0.025, 0.975))), abs=0.012)


def test_shares_are_told_with_intervals_for_each_set_of_strangers() -> None:
    known, cats, noise = np.linspace(0, 1, 101), np.linspace(-1, 0.2, 60), np.full(10, -3.0)
    found = evidence_metrics(known, {"cats": cats, "noise": noise}, 0.05, "val")
    assert [(each.name, each.data) for each in found] == [
        ("evidence_kept", "val"),
        *(
            (name, data)
            for data in ("cats", "noise")
            for name in ("evidence_rejected", "evidence_rejected_at_95", "evidence_auroc")
        ),
    ]
    assert found[0].value == pytest.approx(96 / 101, abs=1e-4)
    assert found[0].interval is not None
    assert found[4].value == 1.0
    assert found[1].count == 60


def test_the_photo_at_the_threshold_is_kept() -> None:
    assert kept(np.array([1.0, 2.0]), 2.0, "val").value == 0.5
    assert rejected(np.array([1.0, 2.0]), 2.0, "cats").value == 0.5
    assert rejected_at(np.arange(20.0), np.array([0.5, 1.0]), "cats").value == 0.5


@pytest.mark.parametrize("bad", [np.array([]), np.array([1.0, np.nan])])
def test_evidence_that_is_none_is_refused(bad: NDArray[np.float64]) -> None:
    with pytest.raises(UsageError, match="evidence"):
        threshold_for(bad)
    with pytest.raises(UsageError, match="evidence"):
        auroc(np.array([1.0]), bad, "cats")
    with pytest.raises(UsageError, match="from 0 to 1"):
        threshold_for(np.array([1.0]), 95)
