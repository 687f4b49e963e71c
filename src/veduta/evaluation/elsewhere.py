"""How much worse a model is on photos from elsewhere: the drop of a figure, with its interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from veduta.evaluation.comparison import mean_average_precision
from veduta.evaluation.figures import Judgement
from veduta.evaluation.label_figures import ROUNDS, LabelJudgement
from veduta.evaluation.metrics import Interval, bootstrap_values, newcombe_interval, top_k_hits

#: What a drop is of.
SIDES = {"all": "all photos of both", "shared": "classes that both have"}


@dataclass(frozen=True, slots=True)
class Drop:
    """A figure ``here``, of ``photos_here``, and ``elsewhere``; the drop from one to the other, and its 95 % interval.

    ``on`` tells what it is of, see ``SIDES``: all photos, or those of the classes that both sets have.
    """

    name: str
    on: str
    here: float
    photos_here: int
    elsewhere: float
    photos_elsewhere: int
    interval: Interval

    @property
    def value(self) -> float:
        """The drop; below 0 it is better elsewhere."""
        return self.here - self.elsewhere

    @property
    def shown(self) -> tuple[str, str]:
        """The drop and its interval in points of a hundred."""
        return _points(self.value), " to ".join(map(_points, self.interval))


def _points(share: float) -> str:
    return f"{100 * share:.1f}".replace("-", "−")


def first_drop(drops: Sequence[Drop]) -> tuple[Drop, ...]:
    """The one to be told in short: of the first figure, over what both sets have; none where there are none."""
    return tuple(each for each in drops if each.name == drops[0].name)[-1:]


def accuracy_drops(here: Judgement, elsewhere: Judgement) -> tuple[Drop, ...]:
    """The drop in top-1 and top-5 accuracy, over all photos and over those of classes that both sets have.

    The photos of both are different ones, so the interval is Newcombe's for independent shares. What both sets have is
    told apart only where it is not all of them: else easy classes alone could hide a drop, or make one.
    """
    ks = {name: k for name, k in (("top1", 1), ("top5", 5)) if k == 1 or len(here.labels) > k}
    drops = [_accuracy_drop(name, k, "all", here, elsewhere) for name, k in ks.items()]
    shared = np.intersect1d(here.targets, elsewhere.targets)
    if len(shared) and not all(np.isin(each.targets, shared).all() for each in (here, elsewhere)):
        drops += [_accuracy_drop(name, k, "shared", here, elsewhere, shared) for name, k in ks.items()]
    return tuple(drops)


def _accuracy_drop(
    name: str, k: int, on: str, here: Judgement, elsewhere: Judgement, classes: NDArray[np.int64] | None = None
) -> Drop:
    sides = []
    for each in (here, elsewhere):
        hits = top_k_hits(each.probabilities, each.targets, k)
        if classes is not None:
            hits = hits[np.isin(each.targets, classes)]
        sides.append((int(hits.sum()), len(hits)))
    (right, photos), (other_right, others) = sides
    return Drop(name, on, right / photos, photos, other_right / others, others, newcombe_interval(*sides))


def average_precision_drop(here: LabelJudgement, elsewhere: LabelJudgement) -> Drop | None:
    """The drop in the mean average precision of the labels that photos of both sets have; None where there is none.

    Average precision depends on how many photos have a label, so a set where it is rarer looks harder. The interval is
    the bootstrap's, of draws of both sets on their own.
    """
    ids = [label.id for label in here.labels]
    shared = [label.id for label in elsewhere.labels if label.id in ids]
    if not shared:
        return None
    sides = []
    for each, seed in ((here, 0), (elsewhere, 1)):
        columns = [label.id for label in each.labels]
        places = [columns.index(id) for id in shared]
        said, true = each.probabilities[:, places], each.present[:, places]
        drawn = bootstrap_values(mean_average_precision, said, true, rounds=ROUNDS, seed=seed)
        sides.append((mean_average_precision(said, true), drawn))
    (value, drawn), (other, other_drawn) = sides
    low, high = np.nanquantile(drawn - other_drawn, (0.025, 0.975))
    name = "mean_average_precision"
    return Drop(name, "shared", value, here.photos, other, elsewhere.photos, (float(low), float(high)))
