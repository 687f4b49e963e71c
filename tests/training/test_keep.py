"""Which of two networks is kept, each under its best classifier."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra train is not installed")

from veduta.training import keep as room
from veduta.training.fitted import Fitted, Verdict
from veduta.training.keep import keep_better, last_fit
from veduta.training.networks import SceneNetwork
from veduta.training.photo_sets import PhotoSet
from veduta.training.refit import Refit


class Pair:
    """A network before and after its training, whose heads have these losses, and what a last fit makes of each."""

    def __init__(self, tiny: ModuleType, monkeypatch: pytest.MonkeyPatch, trained: float, fitted: float) -> None:
        self.before, self.trained = tiny.network(), tiny.network()
        self.photos: PhotoSet = tiny.photos(4)
        self.asked: list[tuple[str, float, bool]] = []
        self.after: dict[str, float | None] = {}
        monkeypatch.setattr(room, "judge", lambda *_given: Verdict(trained, fitted))

    def fit_last(self, network: SceneNetwork, *, loss: float, regressed: bool) -> Refit | None:
        name = "before" if network is self.before else "trained"
        self.asked.append((name, loss, regressed))
        after = self.after[name]
        return None if after is None else Refit(loss, after, np.zeros((4, 2), np.float32))

    def kept(self, *, last: bool = True) -> room.Kept:
        fit = self.fit_last if last else None
        return keep_better(self.before, self.trained, Fitted({}), self.photos, fit_last=fit, regressed=True)


def test_without_a_last_fit_the_heads_decide(tiny: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    pair = Pair(tiny, monkeypatch, 0.5, 0.4)
    kept = pair.kept(last=False)
    assert kept.network is pair.before
    assert (kept.verdict, kept.refit) == (Verdict(0.5, 0.4), None)


@pytest.mark.parametrize(
    ("trained", "before", "wins", "verdict"),
    [
        (0.2, 0.3, "trained", Verdict(0.2, 0.3)),
        (0.3, 0.2, "before", Verdict(0.3, 0.2)),
        (None, 0.45, "before", Verdict(0.5, 0.45)),
        (0.45, None, "before", Verdict(0.45, 0.4)),
        (0.3, None, "trained", Verdict(0.3, 0.4)),
    ],
)
def test_each_is_judged_under_its_last_classifier(
    tiny: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    trained: float | None,
    before: float | None,
    wins: str,
    verdict: Verdict,
) -> None:
    pair = Pair(tiny, monkeypatch, 0.5, 0.4)
    pair.after = {"trained": trained, "before": before}
    kept = pair.kept()
    assert kept.network is getattr(pair, wins)
    assert kept.verdict == verdict
    assert (kept.refit is None) == (pair.after[wins] is None)
    assert pair.asked == [("trained", 0.5, False), ("before", 0.4, True)]


def test_the_last_fit_is_of_all_these_photos(tiny: ModuleType) -> None:
    photos: PhotoSet = tiny.photos(60)
    held = np.arange(60) % 2 == 1
    fit = last_fit(photos.subset(~held), photos.subset(held), None, 0)
    found = fit(tiny.network(), loss=10.0, regressed=False)
    assert found is not None
    assert found.logits.shape == (30, 2)
    assert fit(tiny.network(), loss=0.0, regressed=False) is None
