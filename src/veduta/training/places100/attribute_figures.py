"""How well attributes are told, beside the frequencies of the categories alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from veduta.evaluation.calibration import CalibrationError, calibration_error_of
from veduta.evaluation.metrics import Interval, bootstrap_values, sklearn_metrics
from veduta.models.bundle import Metric
from veduta.records import Label
from veduta.training.places100.attribute_model import (
    FEWEST,
    Annotated,
    Choice,
    Judged,
    mean_precision,
    precision_within,
)
from veduta.training.places100.frequencies import Numbers

# Each draw costs some three tenths of a second.
ROUNDS = 200


@dataclass(frozen=True, slots=True)
class Comparison:
    """A figure of the model and of the frequencies, with their 95 % intervals, and that of the model's gain.

    The intervals are the bootstrap's over photos, both answered for the same in each draw.
    """

    model: float
    model_interval: Interval
    frequencies: float
    frequencies_interval: Interval
    gain_interval: Interval

    @property
    def gain(self) -> float:
        """How much better the model is."""
        return self.model - self.frequencies


@dataclass(frozen=True, slots=True)
class AttributeFigures:
    """On ``photos`` photos that were held out, all of a category together where ``by_category``.

    ``precision`` is the mean average precision over the ``attributes`` that ten photos or more have, ``within`` the
    same within each fold, in the mean. ``ranking`` tells how far up the attributes of a photo stand among all (label
    ranking average precision), and ``calibration`` is of all probabilities of those attributes.
    """

    by_category: bool
    photos: int
    attributes: int
    precision: Comparison
    within: Comparison
    ranking: Comparison
    calibration: CalibrationError
    choices: tuple[Choice, ...]

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """What a bundle tells of them."""
        data = f"sun_attributes, {'categories' if self.by_category else 'photos'} held out"
        name, compared = "attributes_mean_average_precision", self.precision
        return (
            Metric(name, round(compared.model, 4), data, self.photos, _rounded(compared.model_interval)),
            Metric(
                f"{name}_by_frequency",
                round(compared.frequencies, 4),
                data,
                self.photos,
                _rounded(compared.frequencies_interval),
            ),
        )


@dataclass(frozen=True, slots=True)
class AttributeFigure:
    """One attribute, which ``photos`` of the held-out photos have, and its average precision by both."""

    label: Label
    photos: int
    model: float
    frequencies: float


def figures_of(judged: Judged, annotated: Annotated, by_category: bool, rounds: int = ROUNDS) -> AttributeFigures:
    """All figures of a judgement; the bootstrap draws photos so many ``rounds``."""
    seen, part = annotated.seen, judged.part
    common = common_attributes(seen)
    true, said = seen[:, common], judged.probabilities[:, common]
    both = (judged.probabilities, judged.counted, seen)
    ranking = sklearn_metrics().label_ranking_average_precision_score

    def precision(answers: Numbers, present: NDArray[np.bool_], _part: NDArray[np.int64]) -> float:
        return mean_precision(answers[:, common], present[:, common])

    def within(answers: Numbers, present: NDArray[np.bool_], part: NDArray[np.int64]) -> float:
        return precision_within(answers[:, common], present[:, common], part)

    def order(answers: Numbers, present: NDArray[np.bool_], _part: NDArray[np.int64]) -> float:
        return float(ranking(present, answers))

    return AttributeFigures(
        by_category=by_category,
        photos=len(true),
        attributes=int(common.sum()),
        precision=_compare(precision, *both, part, rounds),
        within=_compare(within, *both, part, rounds),
        ranking=_compare(order, *both, part, rounds),
        calibration=calibration_error_of(said, true, rounds=rounds),
        choices=judged.choices,
    )


def common_attributes(seen: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Those ``[attributes]`` that enough photos of ``seen`` ``[k, attributes]`` have for a figure."""
    common: NDArray[np.bool_] = seen.sum(axis=0) >= FEWEST
    return common


def each_attribute(judged: Judged, annotated: Annotated, attributes: Sequence[Label]) -> tuple[AttributeFigure, ...]:
    """The figure of each attribute that enough photos have, the best told first."""
    seen = annotated.seen
    found = [
        AttributeFigure(
            attributes[place],
            int(seen[:, place].sum()),
            *(mean_precision(said[:, [place]], seen[:, [place]]) for said in (judged.probabilities, judged.counted)),
        )
        for place in np.flatnonzero(common_attributes(seen)).tolist()
    ]
    return tuple(sorted(found, key=lambda figure: (-figure.model, figure.label.id)))


def _compare(
    figure: Callable[[Numbers, NDArray[np.bool_], NDArray[np.int64]], float],
    model: Numbers,
    frequencies: Numbers,
    present: NDArray[np.bool_],
    part: NDArray[np.int64],
    rounds: int,
) -> Comparison:
    def both(
        ours: Numbers, theirs: Numbers, present: NDArray[np.bool_], part: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        return np.array([figure(ours, present, part), figure(theirs, present, part)])

    values = both(model, frequencies, present, part)
    drawn = bootstrap_values(both, model, frequencies, present, part, rounds=rounds)
    low, high = np.quantile(np.column_stack([drawn, drawn[:, 0] - drawn[:, 1]]), (0.025, 0.975), axis=0)
    intervals = [(float(least), float(most)) for least, most in zip(low, high, strict=True)]
    return Comparison(float(values[0]), intervals[0], float(values[1]), intervals[1], intervals[2])


def _rounded(interval: Interval) -> Interval:
    return round(interval[0], 4), round(interval[1], 4)
