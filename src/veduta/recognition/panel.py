"""All models of a request: the groups that can be averaged, and the models that stand apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from veduta.labels.taxonomy import Taxonomy
from veduta.models.ensemble_weights import EnsembleWeights, find_weights
from veduta.recognition.ensemble import Ensemble, common_basis, label_ids
from veduta.recognition.tagger import Tagger
from veduta.records import Basis, Combined, Prediction

#: Tells what was learnt of models that answer together over a basis, None for nothing.
WeightsOf = Callable[[Sequence[Tagger], Basis], EnsembleWeights | None]


class Panel:
    """Models parted into groups that can be averaged.

    All models of one label for each photo that have coarse labels are a group, over their labels where these are the
    same, else over coarse labels. Beside it each set of models with the same labels is a group of its own, over these
    labels: two of ImageNet's things beside scenes, or two of the same 365 scenes among others. So a model may be in
    two groups, in one, or in none.

    It costs a fraction of a millisecond, so it can be made for the models that answered a request.

    Attributes:
        ensembles: the groups; the one of all models with coarse labels is the first.
        apart: the names of the models that are in no group, in order.
    """

    def __init__(self, taggers: Sequence[Tagger], weights_of: WeightsOf | None = None) -> None:
        """``weights_of`` tells learnt weights, as ``stored_weights`` does; None lets each model weigh the same.

        Raises what ``weights_of`` raises.
        """
        self._groups = _groups(taggers)
        self.ensembles = tuple(
            weighted_ensemble([taggers[place] for place in group], weights_of) for group in self._groups
        )
        grouped = {place for group in self._groups for place in group}
        self.apart = tuple(tagger.bundle.name for place, tagger in enumerate(taggers) if place not in grouped)

    def combine(self, predictions: Sequence[Prediction]) -> tuple[Combined, ...]:
        """What each group says of one photo together; ``predictions`` has one of each tagger, in their order."""
        together = (
            ensemble.combine([predictions[place] for place in group])
            for ensemble, group in zip(self.ensembles, self._groups, strict=True)
        )
        return tuple(each for each in together if each is not None)


def weighted_ensemble(taggers: Sequence[Tagger], weights_of: WeightsOf | None) -> Ensemble:
    """An ensemble with the weights that were learnt of it, equal ones where none were.

    Raises what ``weights_of`` raises.
    """
    basis = common_basis(taggers)
    learnt = weights_of(taggers, basis) if weights_of is not None and basis is not None else None
    if learnt is None:
        return Ensemble(taggers)
    ids = [tagger.bundle.bundle_id for tagger in taggers]
    return Ensemble(taggers, learnt.weights_of(ids), weighted_on=learnt.learnt_on)


def stored_weights(taggers: Sequence[Tagger], basis: Basis) -> EnsembleWeights | None:
    """What is on file of these models; None for nothing, and where they are not asked as they were weighed.

    Raises BundleCorrupt, BundleIncompatible where the file can't be read.
    """
    if not asked_plainly(taggers, basis):
        return None
    return find_weights([tagger.bundle.bundle_id for tagger in taggers], basis)


def asked_plainly(taggers: Sequence[Tagger], basis: Basis) -> bool:
    """Whether photos are seen at the models' own sizes, all classes may answer, and coarse labels are the shipped ones.

    Asked otherwise, models of the same ``bundle_id`` answer otherwise, and weights are learnt for their answers.
    """
    if any(tagger.drop or tagger.preprocessing != tagger.bundle.preprocessing for tagger in taggers):
        return False
    return basis == "labels" or all(tagger.taxonomy == Taxonomy.load(None) for tagger in taggers)


def _groups(taggers: Sequence[Tagger]) -> list[tuple[int, ...]]:
    """Places of the models of each group."""
    one_of_many = [place for place, tagger in enumerate(taggers) if tagger.head.task == "single_label"]
    with_coarse = tuple(place for place in one_of_many if taggers[place].coarse_sums.labels)
    same: dict[tuple[str, ...], list[int]] = {}
    for place in one_of_many:
        same.setdefault(label_ids(taggers[place]), []).append(place)
    groups = dict.fromkeys([with_coarse, *(tuple(places) for places in same.values())])
    return [group for group in groups if len(group) > 1]
