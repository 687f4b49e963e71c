"""A classifier of a user's own classes behind the embedding of a model that is there already; no torch.

Each photo is embedded once as it is and once for each of a few changed views, all of which is kept; a regularised
logistic regression on that takes seconds. So the bundled model is a backbone for everybody (extra ``learn``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from veduta.errors import MissingExtra, UsageError
from veduta.images.limits import printable
from veduta.models.bundle import Bundle, Task, check_target
from veduta.models.store import find
from veduta.training.dataset import Dataset, read_dataset
from veduta.training.embeddings import embed_views
from veduta.training.held_out import HELD_OUT, HeldOut
from veduta.training.learnt_bundle import Making, write_learnt_bundle
from veduta.training.left_out import tell_left_out
from veduta.training.linear import learn

#: Embeddings of a run, kept so that another training on the same photos need not compute them.
FEATURES = "features.npz"
#: The network that gives the embedding, where it was asked for by its name.
BACKBONE = "backbone"


@dataclass(frozen=True, slots=True)
class Transfer:
    """How to learn: ``model`` gives the embedding, ``views`` changed views are made of each photo, ``folds`` parts are
    held out in turn to choose the regularisation, to judge and to calibrate; ``seed`` draws views and folds. ``task``
    is what the data must be for, see ``read_dataset``.

    The last ``optional`` numbers of the embedding are listened to only where that is better.
    ``size`` is the side in pixels that the photos are shrunk to, and the new model's own; None is that of ``model``.
    Photos that are sharper than those ``model`` learnt from tell more at a larger one. With an ``architecture`` it is
    this network that gives the embedding, and ``model`` is where its weights are, see ``load_weights``; that takes the
    extra ``train``, and ``size`` None is what the network's ImageNet weights were measured with.
    """

    model: Path | str = "places100"
    architecture: str | None = None
    size: int | None = None
    views: int = 2
    folds: int = 5
    seed: int = 0
    task: Task | None = None
    optional: int = 0

    def __post_init__(self) -> None:
        for name, least in (("views", 0), ("folds", 2), ("seed", 0)):
            if getattr(self, name) < least:
                raise UsageError(f"{name} is {getattr(self, name)}; it must be at least {least}.")


def transfer(
    data: Path,
    run: Path,
    how: Transfer = Transfer(),
    *,
    note: Callable[[str], None] = lambda _words: None,
    on_photo: Callable[[int, int], None] = lambda _done, _all: None,
) -> Bundle:
    """Learn the classes of ``data`` and write ``run/bundle``; embeddings are kept in ``run/features.npz``, and what was
    said of photos of one label each while they were held out in ``run/held_out.npz``.

    Every photo that is not for testing is learnt from: what a manifest keeps for validation is not needed here, since
    each part is held out in turn. Photos that can't be decoded are left out, told, and listed in ``run/left_out.csv``.
    Raises UsageError, TrainingError, OutputError, MissingExtra, and what ``Bundle.load`` and ``load_weights`` raise.
    """
    make_backbone = _backbone(how, run, note)
    dataset = read_dataset(data, how.task)
    _check_sizes(dataset, how.folds)
    check_target(run / "bundle", replace=True)
    backbone = make_backbone()
    wanted = backbone.preprocessing if how.size is None else backbone.preprocessing.resized(how.size)
    besides = f", and {how.views} changed views of each" if how.views else ""
    note(f"embedding {len(dataset.paths):,} photos of {len(dataset.labels)} classes{besides}")
    embedded = embed_views(
        dataset.paths, backbone, wanted, views=how.views, seed=how.seed, cache=run / FEATURES, on_photo=on_photo
    )
    tell_left_out(embedded.failures, len(embedded.kept), run, note)
    dataset = dataset.subset(embedded.kept)
    _check_sizes(dataset, how.folds)
    note("fitting the classifier")
    learnt = learn(
        embedded.values,
        dataset.targets,
        folds=how.folds,
        seed=how.seed,
        groups=dataset.groups,
        optional=how.optional,
        besides=dataset.synthetic,
    )
    if dataset.task == "single_label":
        HeldOut(learnt.logits, learnt.targets.astype(np.int64)).write(run / HELD_OUT)
    note("exporting, and checking the graph against the classifier")
    left_out = int((~embedded.kept).sum())
    making = Making(dataset, backbone, wanted, left_out)
    return write_learnt_bundle(learnt, embedded.values[:, 0], making, run / "bundle", note)


def _backbone(how: Transfer, run: Path, note: Callable[[str], None]) -> Callable[[], Bundle]:
    """What gives the model to learn behind, once the data are known to be fit; what can be refused is refused now."""
    if how.architecture is None:
        known = Bundle.load(find(how.model))
        return lambda: known
    write = network_backbone(how.architecture, how.size)
    return lambda: write(how.model, run / BACKBONE, on_stage=note)


def network_backbone(architecture: str, size: int | None) -> Callable[..., Bundle]:
    """What writes the network of this name as a model to learn behind, see ``write_backbone``; it looks at photos of
    ``size`` pixels, or of what its ImageNet weights were measured with.

    Raises MissingExtra without torch, TrainingError for an unknown network or a side that it can't take.
    """
    try:
        from veduta.training.architectures import find_architecture
        from veduta.training.backbone import write_backbone
    except ModuleNotFoundError as error:
        raise MissingExtra(
            f'learning behind a network (--arch) needs {error.name}; install it with: pip install "veduta[train]", or '
            "leave --arch out to learn behind a model."
        ) from error
    chosen = find_architecture(architecture)
    side = chosen.side if size is None else size
    chosen.check_side(side)

    def write(weights: Path | str, out: Path, **options: Any) -> Bundle:
        return write_backbone(chosen.name, weights, side, out, **options)

    return write


def _check_sizes(dataset: Dataset, folds: int) -> None:
    judged = np.ones(len(dataset.paths), bool) if dataset.synthetic is None else ~dataset.synthetic
    counts = dataset.counts(judged)
    if counts.min() < 2:
        photos = "1 photo" if counts.min() else "no photo"
        raise UsageError(
            f"the class {printable(dataset.labels[int(counts.argmin())])} has {photos}; a class needs two or more, one "
            "to learn from and one to be judged on."
        )
    if judged.sum() < folds:
        raise UsageError(f"{int(judged.sum())} photos can't be parted into {folds}; add photos.")
