"""Several models about one photo: side by side, and averaged where their labels can be compared."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from veduta.recognition.scoring import EnvironmentReading, best
from veduta.recognition.tagger import Tagger
from veduta.records import Combined, Environment, Label, Prediction


class Ensemble:
    """The mean, in probability space, of what several taggers say.

    Over labels where all have the same ones, else over coarse labels; where some model has none, or a model says which
    of many labels are present at once, there is nothing to average.
    """

    def __init__(self, taggers: Sequence[Tagger]) -> None:
        self.taggers = tuple(taggers)
        self._top_k = max((tagger.top_k for tagger in taggers), default=1)
        one_of_many = all(tagger.head.task == "single_label" for tagger in taggers)
        self._labels = self._common_labels() if one_of_many else None
        self._coarse = self._coarse_labels() if one_of_many else ()
        self._read_environment = EnvironmentReading(self._labels) if self._labels else None

    def combine(self, predictions: Sequence[Prediction]) -> Combined | None:
        """The average of one photo's predictions, one of each tagger in their order; None where there is none."""
        if len(self.taggers) < 2 or not (self._labels or self._coarse):
            return None
        coarse = best(self._mean_coarse(predictions), self._coarse, self._top_k) if self._coarse else None
        models = tuple(tagger.bundle.name for tagger in self.taggers)
        if self._labels and self._read_environment:
            mean = self._mean([_whole(prediction) for prediction in predictions])
            scores = best(mean, self._labels, self._top_k)
            return Combined(models, "labels", scores, coarse, self._read_environment(mean))
        return Combined(models, "coarse", None, coarse, _mean_environment(predictions))

    def _common_labels(self) -> tuple[Label, ...] | None:
        first = self.taggers[0].labels if self.taggers else None
        ids = [[label.id for label in tagger.labels] for tagger in self.taggers]
        return first if all(other == ids[0] for other in ids) else None

    def _coarse_labels(self) -> tuple[Label, ...]:
        sets = [tagger.coarse_sums.labels for tagger in self.taggers]
        if not all(sets):
            return ()
        return tuple(sorted({label for labels in sets for label in labels}, key=lambda label: label.id))

    def _mean_coarse(self, predictions: Sequence[Prediction]) -> NDArray[np.float32]:
        place = {label.id: index for index, label in enumerate(self._coarse)}
        rows = []
        for tagger, prediction in zip(self.taggers, predictions, strict=True):
            row = np.zeros(len(self._coarse), np.float32)
            columns = [place[label.id] for label in tagger.coarse_sums.labels]
            row[columns] = tagger.coarse_sums(_whole(prediction)[None])[0]
            rows.append(row)
        return self._mean(rows)

    @staticmethod
    def _mean(rows: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        mean: NDArray[np.float64] = np.stack(rows).astype(np.float64).mean(axis=0)
        return mean.astype(np.float32)


def _whole(prediction: Prediction) -> NDArray[np.float32]:
    assert prediction.probabilities is not None, "a tagger's prediction carries its whole distribution"
    return prediction.probabilities


def _mean_environment(predictions: Sequence[Prediction]) -> Environment | None:
    known = [prediction.environment for prediction in predictions if prediction.environment]
    if not known:
        return None
    outdoor = sum(environment.outdoor_probability for environment in known) / len(known)
    vote = sum(environment.outdoor_vote for environment in known) / len(known)
    return Environment("outdoor" if outdoor >= 0.5 else "indoor", outdoor, vote)
