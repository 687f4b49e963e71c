"""From photos of landmarks, and of none, to a model that gives an embedding: clean, train, join, export, check."""

from __future__ import annotations

import csv
import io
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from torch import nn

from veduta import __version__
from veduta.errors import TrainingError, UsageError
from veduta.images.limits import printable
from veduta.images.preprocess import Preprocessing
from veduta.images.sources import expand
from veduta.labels.text_file import neutral
from veduta.models.bundle import Bundle, OutputSpec, check_target, write_bundle
from veduta.recognition.landmarks.references import unit
from veduta.recognition.tagger import DEFAULT_MODEL
from veduta.training.augment import Augmentation
from veduta.training.checkpoints import Origin
from veduta.training.dataset import Dataset, bundle_name, read_dataset
from veduta.training.export import check_parity, export_graph, round_to_half
from veduta.training.landmarks.joined import join, pooled_features
from veduta.training.landmarks.losses import ArcFaceLoss, CenterLoss
from veduta.training.landmarks.network import CenteredClassifier, SubCenterClassifier, put_on_top
from veduta.training.landmarks.outliers import DROPPED, outliers
from veduta.training.landmarks.whitening import principal_components
from veduta.training.left_out import tell_left_out
from veduta.training.loop import Callbacks, Execution, train_opened
from veduta.training.losses import LossOfBoth
from veduta.training.networks import SceneNetwork
from veduta.training.opening import open_run
from veduta.training.people import People
from veduta.training.photo_sets import PhotoSet
from veduta.training.progress import Progress
from veduta.training.run_folder import Fact
from veduta.training.schedules import Schedule, for_photos
from veduta.training.start import architecture_for, start_network
from veduta.training.user_data import check_left, read_photos
from veduta.training.validation import LAST
from veduta.whole_file import write_whole

LossName = Literal["arcface", "center"]

#: The class of photos that show no landmark.
NO_LANDMARK = "(no landmark)"

_PARITY_PHOTOS = 50
# With more numbers than this, cleaning compares photos by their principal components.
_CLEANED_BY = 256


#: Epochs, rates and changes of photos. The last four blocks learn: on MobileNetV2 three residual blocks and the
#: convolution after them.
SCHEDULE = Schedule(
    side=224,
    epochs=20,
    batch_size=64,
    learning_rate=3e-4,
    classifier_rate=10.0,
    warm_up_steps=50,
    label_smoothing=0.0,
    average_decay=0.99,
    train_last=4,
    best_by=LAST,
    augmentation=Augmentation(
        min_area=0.35,
        filter="bilinear",
        jitter=0.3,
        rotation=8.0,
        grey=0.05,
        erase=0.1,
        degrade=0.35,
        people=0.6,
    ),
)


@dataclass(frozen=True, slots=True)
class LandmarkRecipe:
    """How to train.

    ``weights`` is what ``load_weights`` takes: those of a scene network. Photos are seen whole, as squares of ``size``
    pixels. ``loss``: sub-center ArcFace with ``margin`` (radians), ``scale`` and ``centres`` for each class, or softmax
    with center loss of ``center_weight``. ``embedding`` is how many numbers the vectors have. ``outliers`` is the share
    of photos that is taken for wrong and dropped, ``validation`` the share held out, which the log is about.
    """

    weights: Path | str = DEFAULT_MODEL
    architecture: str | None = None
    size: int = 288
    embedding: int = 256
    loss: LossName = "arcface"
    margin: float = 0.3
    scale: float = 24.0
    centres: int = 3
    center_weight: float = 0.01
    outliers: float = 0.0
    validation: float = 0.1
    schedule: Schedule = SCHEDULE

    def __post_init__(self) -> None:
        if self.loss not in ("arcface", "center"):
            raise UsageError(f"the loss {self.loss!r} is not known; give arcface or center.")
        if not 0 <= self.outliers < 0.5 or not 0 < self.validation < 1:
            raise UsageError("the share of outliers must be from 0 to below 0.5, and that held out between 0 and 1.")
        if not 0 <= self.margin < 1.5 or not self.scale > 0 or self.centres < 1 or self.embedding < 8:
            raise UsageError(
                "the margin must be from 0 to 1.5, the scale above 0, and an embedding has 8 numbers or more."
            )
        if self.schedule.augmentation.mixup or self.schedule.augmentation.cutmix:
            raise UsageError("photos of two landmarks mixed show neither; leave mixup and CutMix out.")


def train_embedding(
    data: Path,
    others: Sequence[str],
    run: Path,
    recipe: LandmarkRecipe = LandmarkRecipe(),
    *,
    people: People | None = None,
    execution: Execution = Execution(),  # noqa: B008
    progress: Progress = Progress(),  # noqa: B008
) -> Bundle:
    """Train on the landmarks of ``data`` and write ``run/bundle``; a killed run with the same arguments goes on.

    ``data`` is what ``read_dataset`` takes, a landmark for each class. ``others`` are photos without landmarks, as
    ``expand`` takes them. ``people`` are pasted in, as often as the schedule's augmentation says. Photos that can't be
    decoded are left out and told; those that are dropped as outliers are listed in ``run/dropped.csv``.
    Raises UsageError, TrainingError, OutputError, and what ``load_weights`` raises.
    """
    architecture = architecture_for(recipe.architecture, recipe.weights)
    dataset = _with_others(read_dataset(data, "single_label"), others)
    check_target(run / "bundle", replace=True)
    classes = len(dataset.labels)
    network, origin = start_network(
        architecture, classes, recipe.weights, recipe.schedule.seed, execution, progress.note
    )
    if network.head is not None or not isinstance(network.classifier, nn.Linear):
        raise TrainingError(f"{architecture} has layers of its own after pooling; choose a network without.")
    untouched, _ = start_network(architecture, classes, recipe.weights, recipe.schedule.seed, execution, progress.note)
    wanted = Preprocessing.squeezed(recipe.size)
    progress.note(
        f"reading {len(dataset.paths):,} photos, {int((dataset.targets == classes - 1).sum()):,} of no landmark"
    )
    read = read_photos(dataset, wanted, on_photo=progress.photo)
    tell_left_out(read.failures, len(read.kept), run, progress.note)
    check_left(dataset, np.ones(len(read.kept), bool), read)
    dataset = dataset.subset(read.kept)
    photos = replace(read.photos, people=people)
    good = _without_outliers(dataset, photos, untouched, recipe, run, progress.note)
    if int(good.sum()) < recipe.embedding:
        raise TrainingError(
            f"{int(good.sum()):,} photos are too few for an embedding of {recipe.embedding} numbers; add photos, or "
            "make it shorter (--embedding)."
        )
    held = _held_out(dataset, recipe) & good
    schedule = for_photos(recipe.schedule, int((good & ~held).sum()))
    loss = _put_loss(network, recipe, classes)
    training, validation = photos.subset(good & ~held), photos.subset(held)
    begun_with: dict[str, Fact] = {
        "architecture": architecture,
        "size": recipe.size,
        "embedding": recipe.embedding,
        "loss": _loss_words(recipe),
        "start weights": "none" if origin is None else f"SHA-256 {origin.sha256[:16]}",
        "people": 0 if people is None else len(people.cutouts),
    }
    told = {"veduta": __version__, "data": str(data.resolve()), "others": list(others), **begun_with}
    with open_run(network, training, validation, schedule, run, execution, begun_with=begun_with, told=told) as opened:
        progress.start(opened.schedule)
        callbacks = Callbacks(progress.step, progress.epoch, progress.note)
        trained = train_opened(opened, network, training, validation, callbacks, loss=loss)
        progress.note("joining the trained blocks with the untouched ones")
        joined = join(trained, untouched, photos.subset(good), recipe.embedding, opened.schedule)
        progress.note("exporting, and checking the graph against torch")
        return _write(joined, validation, dataset, recipe, origin, wanted, run / "bundle")


def _with_others(dataset: Dataset, others: Sequence[str]) -> Dataset:
    """The landmarks, and one class more, the last."""
    if NO_LANDMARK in dataset.labels:
        raise UsageError(f"a landmark can't be called {NO_LANDMARK}; name it otherwise.")
    if len(dataset.labels) < 2:
        raise UsageError("one landmark alone can't be told from others; give photos of two or more.")
    besides = [sample.path for sample in expand(others)]
    if not besides:
        raise UsageError("without photos of no landmark nothing is learnt of when to say none; name some (--others).")
    count, new = len(dataset.labels), len(besides)
    return replace(
        dataset,
        paths=(*dataset.paths, *besides),
        targets=np.concatenate([dataset.targets.astype(np.int64), np.full(new, count, np.int64)]),
        labels=(*dataset.labels, NO_LANDMARK),
        held_out=None if dataset.held_out is None else np.concatenate([dataset.held_out, np.zeros(new, bool)]),
        groups=None if dataset.groups is None else (*dataset.groups, *([""] * new)),
        synthetic=None if dataset.synthetic is None else np.concatenate([dataset.synthetic, np.zeros(new, bool)]),
    )


def _held_out(dataset: Dataset, recipe: LandmarkRecipe) -> NDArray[np.bool_]:
    return dataset.hold_out(recipe.validation, recipe.schedule.seed)


def _put_loss(network: SceneNetwork, recipe: LandmarkRecipe, classes: int) -> LossOfBoth:
    """Put the new layers on top of the network; what they are trained by."""
    if recipe.loss == "arcface":
        put_on_top(
            network,
            recipe.embedding,
            lambda: SubCenterClassifier(recipe.embedding, classes, recipe.centres, recipe.scale),
            recipe.schedule.seed,
        )
        return ArcFaceLoss(recipe.scale, recipe.margin)
    put_on_top(network, recipe.embedding, lambda: CenteredClassifier(recipe.embedding, classes), recipe.schedule.seed)
    classifier = network.classifier
    assert isinstance(classifier, CenteredClassifier)
    return CenterLoss(classifier, recipe.center_weight)


def _loss_words(recipe: LandmarkRecipe) -> str:
    if recipe.loss == "arcface":
        return f"arcface, margin {recipe.margin:g}, scale {recipe.scale:g}, centres {recipe.centres}"
    return f"softmax with center loss, weight {recipe.center_weight:g}"


def _without_outliers(
    dataset: Dataset,
    photos: PhotoSet,
    network: SceneNetwork,
    recipe: LandmarkRecipe,
    run: Path,
    note: Callable[[str], None],
) -> NDArray[np.bool_]:
    """Which photos ``[n]`` are trained on: all but the outliers, judged by the features of the untouched network."""
    good = np.ones(len(dataset.paths), bool)
    if not recipe.outliers:
        (run / DROPPED).unlink(missing_ok=True)
        return good
    note("asking the photos of each landmark about each other")
    values = unit(pooled_features(network, photos))
    mean, components = principal_components(values, min(_CLEANED_BY, *values.shape))
    values = unit((values - mean) @ components.T)
    landmarks = np.flatnonzero(dataset.targets < len(dataset.labels) - 1)
    targets = dataset.targets[landmarks].astype(np.int64)
    besides = values[dataset.targets == len(dataset.labels) - 1]
    good[landmarks[outliers(values[landmarks], targets, besides, recipe.outliers)]] = False
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(("path", "landmark"))
    for place in np.flatnonzero(~good):
        label = dataset.labels[int(dataset.targets[place])]
        # Paths as they are, for the index is made without these photos.
        rows.writerow((dataset.paths[place], neutral(printable(label))))
    write_whole(run / DROPPED, text.getvalue().encode("utf-8", "surrogateescape"))
    note(f"{int((~good).sum()):,} photos seem to show something else and are dropped; {run / DROPPED} lists them")
    return good


def _write(
    network: SceneNetwork,
    validation: PhotoSet,
    dataset: Dataset,
    recipe: LandmarkRecipe,
    origin: Origin | None,
    wanted: Preprocessing,
    out: Path,
) -> Bundle:
    round_to_half(network)
    graph = export_graph(network, recipe.size)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        write_whole(path, graph, sync=False)
        check_parity(network, path, validation.read(0, _PARITY_PHOTOS))
    return write_bundle(
        out,
        name=bundle_name(f"{dataset.name}-landmarks"),
        kind="embedding",
        graph=graph,
        preprocessing=wanted,
        heads=[],
        card=_card(network, dataset, recipe, origin),
        embedding=OutputSpec("embedding", recipe.embedding),
        architecture=None,
        replace=True,
    )


def _card(network: SceneNetwork, dataset: Dataset, recipe: LandmarkRecipe, origin: Origin | None) -> str:
    landmarks = dataset.labels[:-1]
    counts = dataset.counts(np.ones(len(dataset.paths), bool))
    start = "fresh weights" if origin is None else f"the weights of `{origin.path.name}`, SHA-256 `{origin.sha256}`"
    last = recipe.schedule.train_last
    trained = "all layers" if last is None else f"the last {last} blocks"
    return f"""# An embedding of landmarks

Photos of one landmark lie close together in it (cosine), photos of others and of none apart. It has {recipe.embedding}
numbers, no labels, and needs an index of landmarks (`veduta landmarks`).

- **Network.** {network.architecture}, from {start}; {trained} were trained by
  {_loss_words(recipe)}, and are joined with the untouched ones.
- **Learnt from** {int(counts[:-1].sum()):,} photos of {len(landmarks):,} landmarks and {int(counts[-1]):,} photos
  without any, seen at {recipe.size} pixels.
- **Licence.** That of the photos and of the start weights; this model may be passed on where both allow it.
- **Limits.** Whatever looks like one of the landmarks is near it: replicas, paintings, other temples of one style.
"""
