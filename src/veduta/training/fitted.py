"""The classifier on pretrained features: what a fine-tuning starts from, and what it must beat.

It is fitted first, for under a fresh one the features would be distorted (see ``probe``), and judged on the held-out
photos. The fine-tuned network is kept where its loss there is lower, each at the temperature that suits it best: what
is exported is calibrated, and label smoothing would make the fine-tuned one look worse than it is.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from veduta.training.calibrated_loss import calibrated_loss
from veduta.training.loop import EpochResult
from veduta.training.networks import SceneNetwork
from veduta.training.opening import OpenRun
from veduta.training.photo_sets import PhotoSet
from veduta.training.probe import choose_classifier, train_classifier
from veduta.training.progress import Progress
from veduta.training.run_folder import Fact
from veduta.training.validation import CALIBRATED, figures, predict_logits

#: The fitted classifier in a run's folder, so that a run that goes on need not fit it again.
FITTED = "fitted.pt"


@dataclass(frozen=True, slots=True)
class Fitted:
    """What a fitted classifier reaches on the held-out photos: its ``figures``, the calibrated loss among them."""

    figures: dict[str, float]

    @property
    def loss(self) -> float:
        """The calibrated loss."""
        return self.figures[CALIBRATED]

    @property
    def epoch(self) -> EpochResult:
        """The log's epoch 0."""
        return EpochResult(0, {}, self.figures, 0.0, best=False, photos_per_second=0.0)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The calibrated losses of the fine-tuned network and of the one under the fitted classifier, which decide."""

    trained: float
    fitted: float

    @property
    def kept(self) -> float:
        """The loss of the one that is kept."""
        return min(self.trained, self.fitted)

    @property
    def keeps_trained(self) -> bool:
        """Whether fine-tuning made it better."""
        return self.trained < self.fitted

    @property
    def sentence(self) -> str:
        """What is kept, and why."""
        if self.keeps_trained:
            return (
                f"The fine-tuned network is kept: its loss on the held-out photos is {self.trained:.4f}, that of the "
                f"fitted classifier on untouched features {self.fitted:.4f}, each at its best temperature."
            )
        return (
            f"The fitted classifier on untouched features is kept: its loss on the held-out photos is "
            f"{self.fitted:.4f}, that of the fine-tuned network {self.trained:.4f}, each at its best temperature."
        )

    @property
    def told(self) -> dict[str, Any]:
        """The same for a run's configuration."""
        kept = "fine-tuned network" if self.keeps_trained else "fitted classifier"
        return {"kept": kept, "calibrated_loss": {"fine-tuned network": self.trained, "fitted classifier": self.fitted}}


def fit_first(
    run: OpenRun,
    network: SceneNetwork,
    training: PhotoSet,
    validation: PhotoSet,
    head_epochs: int,
    progress: Progress,
) -> Fitted:
    """Give ``network`` the classifier that suits its features, and judge it; a run that goes on has it already.

    ``head_epochs`` 0 fits a regularised regression, whose decay is chosen on ``validation``; more train it for so many
    at the most. Raises TrainingError where what was kept is no whole file, OutputError where nothing can be.
    """
    begun_with: dict[str, Fact] = {**run.begun_with, "seed": run.schedule.seed}
    if run.folder.has(FITTED):
        saved = run.folder.load(FITTED)
        if saved.get("begun_with") == begun_with:
            network.classifier.load_state_dict(saved["weights"])
            return Fitted(saved["figures"])
    progress.note("fitting the classifier to the pretrained features")
    if head_epochs:
        best = train_classifier(network, training, validation, epochs=head_epochs, seed=run.schedule.seed)
        progress.note(f"the classifier was best after {best} epochs")
    else:
        decay = choose_classifier(network, training, validation)
        progress.note(f"of the decays tried, {decay:g} suits the regression best")
    fitted = Fitted(figures(predict_logits(network, validation), validation.labels, calibrated=True))
    if not run.share.rank:
        run.folder.save(
            FITTED, {"begun_with": begun_with, "weights": network.classifier.state_dict(), **asdict(fitted)}
        )
    progress.epoch(fitted.epoch)
    return fitted


def judge(trained: SceneNetwork, fitted: Fitted, validation: PhotoSet) -> Verdict:
    """Which of the two is kept."""
    return Verdict(calibrated_loss(predict_logits(trained, validation), validation.labels), fitted.loss)
