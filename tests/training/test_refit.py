"""The last classifier, which the held-out photos teach, too."""

from __future__ import annotations

import copy
from dataclasses import replace
from types import ModuleType

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra train is not installed")

from veduta.training import refit as room
from veduta.training.calibrated_loss import calibrated_loss
from veduta.training.networks import SceneNetwork
from veduta.training.photo_sets import PhotoSet
from veduta.training.probe import DECAYS, fit_classifier
from veduta.training.refit import refit_classifier
from veduta.training.validation import predict_logits


def _noisy(tiny: ModuleType, count: int) -> PhotoSet:
    """Dark and bright photos, one in five under the wrong name."""
    photos: PhotoSet = tiny.photos(count)
    wrong = np.random.default_rng(0).random(count) < 0.2
    return replace(photos, targets=np.where(wrong, 1 - photos.targets, photos.targets))


@pytest.fixture
def network(tiny: ModuleType) -> SceneNetwork:
    found: SceneNetwork = tiny.network()
    return found


@pytest.fixture
def parted(tiny: ModuleType) -> tuple[PhotoSet, PhotoSet]:
    photos = _noisy(tiny, 80)
    held = np.arange(80) % 2 == 1
    return photos.subset(~held), photos.subset(held)


def test_where_it_is_better_the_classifier_learns_from_all_photos(
    tiny: ModuleType, network: SceneNetwork, parted: tuple[PhotoSet, PhotoSet]
) -> None:
    found = refit_classifier(network, *parted, None, loss=10.0, seed=0)
    assert found is not None
    assert found.before == 10.0
    assert found.after == pytest.approx(calibrated_loss(found.logits, parted[1].labels))
    assert f"{found.after:.4f}" in found.sentence
    assert found.told["refit"]["calibrated_loss_after"] == found.after
    fitted = [copy.deepcopy(network.classifier.state_dict())]
    everything = PhotoSet(
        np.concatenate([np.stack([part.photo(place) for place in range(len(part))]) for part in parted]),
        np.concatenate([part.labels for part in parted]),
    )
    for decay in DECAYS:
        fit_classifier(network, everything, decay=decay)
        fitted.append(copy.deepcopy(network.classifier.state_dict()))
    same = [torch.allclose(fitted[0]["weight"], other["weight"], atol=1e-3) for other in fitted[1:]]
    assert sum(same) == 1


def test_no_held_out_photo_is_judged_by_a_classifier_that_learnt_from_it(
    network: SceneNetwork, parted: tuple[PhotoSet, PhotoSet], monkeypatch: pytest.MonkeyPatch
) -> None:
    training, validation = parted
    taught: list[int] = []
    regress = room.regress

    def spying(classifier: object, embeddings: object, labels: np.ndarray, decay: float) -> None:
        taught.append(len(labels))
        regress(classifier, embeddings, labels, decay)  # type: ignore[arg-type]

    monkeypatch.setattr(room, "regress", spying)
    found = refit_classifier(network, training, validation, None, loss=10.0, seed=0)
    assert found is not None
    assert taught == [len(training) + len(validation) * 4 // 5] * 5 + [len(training) + len(validation)]
    # The one that learnt from all says something else of them.
    assert not np.allclose(found.logits, predict_logits(network, validation), atol=1e-4)


def test_groups_are_judged_together(
    network: SceneNetwork, parted: tuple[PhotoSet, PhotoSet], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[np.ndarray] = []
    folds_of = room.folds_of

    def spying(*given: object, **named: object) -> np.ndarray:
        seen.append(folds_of(*given, **named))  # type: ignore[arg-type]
        return seen[-1]

    monkeypatch.setattr(room, "folds_of", spying)
    groups = [f"walk {place // 4}" for place in range(len(parted[1]))]
    refit_classifier(network, *parted, groups, loss=10.0, seed=0)
    (parts,) = seen
    assert all(len(set(parts[place : place + 4])) == 1 for place in range(0, len(parts), 4))


@pytest.mark.parametrize(
    ("loss", "count", "groups"),
    [(0.0, 40, None), (10.0, 19, None), (10.0, 40, ["one walk"] * 40)],
    ids=["worse", "few", "one group"],
)
def test_a_worse_one_is_not_taken_nor_one_that_too_few_can_judge(
    network: SceneNetwork, parted: tuple[PhotoSet, PhotoSet], loss: float, count: int, groups: list[str] | None
) -> None:
    training, validation = parted
    before = copy.deepcopy(network.classifier.state_dict())
    held = validation.subset(np.arange(count))
    assert refit_classifier(network, training, held, groups, loss=loss, seed=0) is None
    assert all(torch.equal(before[name], value) for name, value in network.classifier.state_dict().items())


def test_a_regression_learns_from_all_photos_unjudged(network: SceneNetwork, parted: tuple[PhotoSet, PhotoSet]) -> None:
    found = refit_classifier(network, *parted, None, loss=0.0, seed=0, regressed=True)
    assert found is not None
    assert found.after == pytest.approx(calibrated_loss(found.logits, parted[1].labels))


def test_a_photo_may_have_many_labels(network: SceneNetwork, parted: tuple[PhotoSet, PhotoSet]) -> None:
    training, validation = (replace(each, targets=np.eye(2, dtype=np.float32)[each.targets]) for each in parted)
    found = refit_classifier(network, training, validation, None, loss=10.0, seed=0)
    assert found is not None
    assert found.logits.shape == (40, 2)
