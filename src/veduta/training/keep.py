"""Which network is kept after a fine-tuning: the trained one, or the one as it was, each under its best classifier.

A classifier that was trained along is behind its features: mixed photos and averaged weights leave it unsure. So both
are judged after the last fit, where there is one. Of four fine-tunings on ``sun27``, whose test photos were told more
often by the trained network each time, heads as they were kept it in three, refitted ones in all four.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from veduta.training.fitted import Fitted, Verdict, judge
from veduta.training.networks import SceneNetwork
from veduta.training.photo_sets import PhotoSet
from veduta.training.refit import Refit, refit_classifier


@dataclass(frozen=True, slots=True)
class Kept:
    """The network that is exported; what decided it, and what its last fit brought, where there was such."""

    network: SceneNetwork
    verdict: Verdict | None = None
    refit: Refit | None = None


class LastFit(Protocol):
    """Fits a network's classifier again, as ``refit_classifier`` does, or does nothing and gives None."""

    def __call__(self, network: SceneNetwork, *, loss: float, regressed: bool) -> Refit | None: ...


def last_fit(training: PhotoSet, validation: PhotoSet, groups: Sequence[str] | None, seed: int) -> LastFit:
    """The one on these photos."""

    def fit(network: SceneNetwork, *, loss: float, regressed: bool) -> Refit | None:
        return refit_classifier(network, training, validation, groups, loss=loss, seed=seed, regressed=regressed)

    return fit


def keep_better(
    before: SceneNetwork,
    trained: SceneNetwork,
    fitted: Fitted,
    validation: PhotoSet,
    *,
    fit_last: LastFit | None,
    regressed: bool,
) -> Kept:
    """The better of two on ``validation``. ``before`` has the classifier of ``fitted``, a regression where
    ``regressed`` says so. ``fit_last`` changes the classifiers of both.
    """
    verdict = judge(trained, fitted, validation)
    if fit_last is None:
        return Kept(trained if verdict.keeps_trained else before, verdict)
    of_trained = fit_last(trained, loss=verdict.trained, regressed=False)
    of_before = fit_last(before, loss=verdict.fitted, regressed=regressed)
    verdict = Verdict(
        verdict.trained if of_trained is None else of_trained.after,
        verdict.fitted if of_before is None else of_before.after,
    )
    return Kept(trained, verdict, of_trained) if verdict.keeps_trained else Kept(before, verdict, of_before)
