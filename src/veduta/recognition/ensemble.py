"""Several models about one photo: side by side, and averaged where their labels can be compared."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from veduta.errors import UsageError
from veduta.recognition.scoring import EnvironmentReading, best
from veduta.recognition.tagger import Tagger
from veduta.recognition.votes import Choice, count_votes, surest_choice
from veduta.records import Basis, Combined, Environment, Label, Prediction

#: Probabilities of one photo, float32 [labels of the basis].
Row = NDArray[np.float32]


class Ensemble:
    """The weighted mean, in probability space, of what several taggers say: a linear opinion pool (Stone 1961).

    Over labels where all have the same ones, else over coarse labels; where some model has none, or a model says which
    of many labels are present at once, there is nothing to average.

    Attributes:
        taggers: the models, in order.
        basis: what is averaged, None where nothing can be.
        weights: of each tagger; they sum to one.
        weighted_on: what the weights were learnt from, None where they were not.
    """

    def __init__(
        self, taggers: Sequence[Tagger], weights: Sequence[float] | None = None, *, weighted_on: str | None = None
    ) -> None:
        """``weights`` has one for each tagger, in any unit; None lets each weigh the same.

        Raises UsageError for weights that are not one finite number of at least 0 each, or all 0.
        """
        self.taggers = tuple(taggers)
        self.basis = common_basis(taggers)
        self.weighted_on = weighted_on
        self._parts = _checked(weights, len(self.taggers))
        self.weights = tuple(part / sum(self._parts) for part in self._parts)
        self._top_k = max((tagger.top_k for tagger in taggers), default=1)
        self._labels = self.taggers[0].labels if self.basis == "labels" else ()
        self._coarse = _union(self.taggers) if self.basis and _all_have_coarse(self.taggers) else ()
        place = {label.id: index for index, label in enumerate(self._coarse)}
        self._columns = [[place[label.id] for label in each.coarse_sums.labels] for each in taggers if self._coarse]
        self._read_environment = EnvironmentReading(self._labels)

    def combine(self, predictions: Sequence[Prediction]) -> Combined | None:
        """The average of one photo's predictions, one of each tagger in their order; None where there is none."""
        if self.basis is None:
            return None
        coarse = self._coarse_rows(predictions) if self._coarse else []
        if self.basis == "labels":
            rows = [_whole(prediction) for prediction in predictions]
            mean = self._mean(rows)
            scores = best(mean, self._labels, self._top_k)
            environment = self._read_environment(mean)
        else:
            rows, scores, environment = coarse, None, self._mean_environment(predictions)
        choices = self._choices(predictions, rows)
        return Combined(
            models=tuple(tagger.bundle.name for tagger in self.taggers),
            basis=self.basis,
            scores=scores,
            coarse=best(self._mean(coarse), self._coarse, self._top_k) if coarse else None,
            environment=environment,
            weights=self.weights,
            votes=count_votes(choices),
            surest=surest_choice(choices),
            weighted_on=self.weighted_on,
        )

    def _coarse_rows(self, predictions: Sequence[Prediction]) -> list[Row]:
        """Over the coarse labels of all models; 0 for those that a model does not have."""
        rows = []
        for tagger, columns, prediction in zip(self.taggers, self._columns, predictions, strict=True):
            row = np.zeros(len(self._coarse), np.float32)
            row[columns] = tagger.coarse_sums(_whole(prediction)[None])[0]
            rows.append(row)
        return rows

    def _mean(self, rows: Sequence[Row]) -> Row:
        # A part of 1 changes no bit, so the equal mean is the plain one.
        parts: NDArray[np.float64] = np.array(self._parts)[:, None]
        mean: NDArray[np.float64] = (np.stack(rows).astype(np.float64) * parts).sum(axis=0) / sum(self._parts)
        return mean.astype(np.float32)

    def _mean_environment(self, predictions: Sequence[Prediction]) -> Environment | None:
        """Over the models that tell one; None where none does that weighs anything."""
        known = [(part, each.environment) for part, each in zip(self._parts, predictions, strict=True) if part]
        told = [(part, environment) for part, environment in known if environment is not None]
        if not told:
            return None
        whole = sum(part for part, _ in told)
        outdoor = sum(part * environment.outdoor_probability for part, environment in told) / whole
        vote = sum(part * environment.outdoor_vote for part, environment in told) / whole
        # The floats of a mean may end a hair above one.
        return Environment("outdoor" if outdoor >= 0.5 else "indoor", min(1.0, outdoor), min(1.0, vote))

    def _choices(self, predictions: Sequence[Prediction], rows: Sequence[Row]) -> list[Choice]:
        """The first choices of the models that find that something fits."""
        labels, choices = self._labels or self._coarse, []
        for tagger, prediction, row in zip(self.taggers, predictions, rows, strict=True):
            if prediction.fits and (first := best(row, labels, 1)):
                choices.append(Choice(tagger.bundle.name, first[0], prediction.calibrated))
        return choices


def common_basis(taggers: Sequence[Tagger]) -> Basis | None:
    """What these models can be averaged over; None for nothing, as for fewer than two."""
    if len(taggers) < 2 or any(tagger.head.task != "single_label" for tagger in taggers):
        return None
    if len({label_ids(tagger) for tagger in taggers}) == 1:
        return "labels"
    return "coarse" if _all_have_coarse(taggers) else None


def label_ids(tagger: Tagger) -> tuple[str, ...]:
    """The ids of a model's labels, in the order of its logits."""
    return tuple(label.id for label in tagger.labels)


def _all_have_coarse(taggers: Sequence[Tagger]) -> bool:
    return all(tagger.coarse_sums.labels for tagger in taggers)


def _union(taggers: Sequence[Tagger]) -> tuple[Label, ...]:
    """All coarse labels of all taggers, by id."""
    return tuple(sorted({label for each in taggers for label in each.coarse_sums.labels}, key=lambda label: label.id))


def _checked(weights: Sequence[float] | None, count: int) -> tuple[float, ...]:
    if weights is None:
        return (1.0,) * count
    parts = tuple(float(weight) for weight in weights)
    if len(parts) != count:
        raise UsageError(f"{len(parts)} weights can't be those of {count} models; give one for each.")
    if not all(math.isfinite(part) and part >= 0.0 for part in parts) or not 0.0 < sum(parts) < math.inf:
        raise UsageError(f"the weights {', '.join(f'{part:g}' for part in parts)} must be 0 or more, and not all 0.")
    # Equal ones are the same as none, to the last bit.
    return (1.0,) * count if len(set(parts)) == 1 else parts


def _whole(prediction: Prediction) -> Row:
    assert prediction.probabilities is not None, "a tagger's prediction carries its whole distribution"
    return prediction.probabilities
