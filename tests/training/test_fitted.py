"""The classifier that a fine-tuning must beat."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra train is not installed")

from veduta.training import fitted as room
from veduta.training.fitted import Verdict, fit_first, judge
from veduta.training.loop import Callbacks, EpochResult, Execution, train_opened
from veduta.training.opening import OpenRun, open_run
from veduta.training.photo_sets import PhotoSet
from veduta.training.progress import Progress
from veduta.training.validation import predict_logits

CALLBACKS = Callbacks(lambda *_: None, lambda _result: None, lambda _words: None)


@pytest.fixture
def photos(tiny: ModuleType) -> PhotoSet:
    found: PhotoSet = tiny.photos(24)
    return found


def _opened(tiny: ModuleType, photos: PhotoSet, run: Path, **changes: object) -> OpenRun:
    schedule = replace(tiny.SCHEDULE, **changes)
    with open_run(tiny.network(), photos, photos, schedule, run, Execution(), begun_with={"size": 32}) as opened:
        return opened


def test_the_fitted_classifier_is_epoch_0_of_the_log(tiny: ModuleType, photos: PhotoSet, tmp_path: Path) -> None:
    told: list[EpochResult] = []
    network, run = tiny.network(), _opened(tiny, photos, tmp_path)
    fitted = fit_first(run, network, photos, photos, 0, Progress(epoch=told.append))
    assert [result.epoch for result in told] == [0]
    train_opened(run, network, photos, photos, CALLBACKS, fitted.epoch)
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in log] == [0, 1, 2]
    assert log[0]["validation"] == fitted.figures
    assert log[0]["training"] == {}
    assert not log[0]["best"]
    assert (tmp_path / "curves.png").stat().st_size > 1000


@pytest.mark.parametrize("head_epochs", [0, 30], ids=["regression", "epochs"])
def test_a_run_that_goes_on_does_not_fit_again(
    tiny: ModuleType, photos: PhotoSet, tmp_path: Path, head_epochs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, run = tiny.network(), _opened(tiny, photos, tmp_path)
    first = fit_first(run, network, photos, photos, head_epochs, Progress())
    assert first.figures["top1"] == 1.0

    def refuse(*_given: object, **_named: object) -> None:
        pytest.fail("it was fitted again")

    with monkeypatch.context() as patched:
        patched.setattr(room, "choose_classifier", refuse)
        patched.setattr(room, "train_classifier", refuse)
        again = tiny.network()
        assert fit_first(run, again, photos, photos, head_epochs, Progress()) == first
        assert torch.equal(again.classifier.weight, network.classifier.weight)
    other = replace(run, begun_with={**run.begun_with, "size": 64})
    notes: list[str] = []
    fit_first(other, tiny.network(), photos, photos, head_epochs, Progress(note=notes.append))
    assert notes, "of another run it is fitted anew"


@pytest.mark.parametrize(
    ("trained", "fitted", "kept"),
    [(0.30, 0.40, "fine-tuned network"), (0.41, 0.40, "fitted classifier"), (0.40, 0.40, "fitted classifier")],
)
def test_the_better_loss_is_kept_and_said(trained: float, fitted: float, kept: str) -> None:
    verdict = Verdict(trained, fitted)
    assert verdict.told["kept"] == kept
    assert f"The {kept}" in verdict.sentence
    assert f"{trained:.4f}" in verdict.sentence
    assert f"{fitted:.4f}" in verdict.sentence


def test_a_training_that_makes_it_worse_is_seen(tiny: ModuleType, photos: PhotoSet, tmp_path: Path) -> None:
    network, run = tiny.network(), _opened(tiny, photos, tmp_path)
    blurred = replace(photos, pixels=_mixed_up(photos))
    fitted = fit_first(run, network, photos, blurred, 0, Progress())
    assert judge(network, fitted, blurred) == Verdict(fitted.loss, fitted.loss)
    with torch.no_grad():
        network.features[0].weight.add_(torch.randn(network.features[0].weight.shape))
        network.classifier.weight.neg_()
    assert not judge(network, fitted, blurred).keeps_trained


def test_smoothed_answers_are_not_called_worse_for_it(tiny: ModuleType, photos: PhotoSet, tmp_path: Path) -> None:
    network, run = tiny.network(), _opened(tiny, photos, tmp_path)
    mixed = replace(photos, pixels=_mixed_up(photos))
    fitted = fit_first(run, network, photos, mixed, 0, Progress())
    with torch.no_grad():
        network.classifier.weight.mul_(0.3)
        network.classifier.bias.mul_(0.3)
    verdict = judge(network, fitted, mixed)
    assert verdict.trained == pytest.approx(verdict.fitted, rel=1e-4)
    assert np.isfinite(predict_logits(network, mixed)).all()


def _mixed_up(photos: PhotoSet) -> np.ndarray:
    """Some dark ones among the bright and the other way round, so that no answer is right on all."""
    pixels = np.asarray(photos.pixels).copy()
    pixels[[0, 20]] = pixels[[20, 0]]
    return pixels
