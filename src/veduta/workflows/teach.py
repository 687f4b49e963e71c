"""From a clean set to a classifier with a threshold: transfer, then finetune where it is better, in a collection."""

from __future__ import annotations

import shutil
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from veduta.datasets.disowned import find_disowned
from veduta.datasets.manifest import Manifest, write_manifest
from veduta.datasets.reading import read_pixels
from veduta.datasets.split import folds_of
from veduta.evaluation.calibration import fit_temperature
from veduta.models.bundle import Bundle
from veduta.models.installing import install
from veduta.models.session import Session
from veduta.models.store import find
from veduta.recognition.scoring import probabilities
from veduta.recognition.tagger import DEFAULT_MODEL
from veduta.training.embeddings import Embedded, embed_views
from veduta.training.held_out import HELD_OUT, HeldOut
from veduta.training.linear import learn
from veduta.training.progress import Progress
from veduta.training.train import train
from veduta.training.transfer import FEATURES, Transfer, network_backbone, transfer
from veduta.workflows.collection import Collection, digest
from veduta.workflows.gather import Disown, Opinions
from veduta.workflows.watch import Watch

#: The table of where a model's photos come from, beside it in the store.
PASSPORT_TABLE = "passport.csv"

#: A fine-tuning's crops in pixels, the blocks that it trains, and its epochs: about a minute for 460 photos.
SIDE, LAST_BLOCKS, EPOCHS = 224, 3, 5

_FOLDS = 5
# What wrong photos hid is seen when they are gone; a third time found as many good ones as wrong ones.
_ROUNDS = 2
# A gain must be so many times its standard error.
_CLEARLY = 2.0


@dataclass(frozen=True, slots=True)
class Learning:
    """How to learn: behind ``model``, or behind a network by name with ``weights`` (extra ``train``) at ``size``.

    A network's embedding says also what its weights' own classifier says, unless ``classemes`` is False.
    ``finetune`` trains the network's last blocks as well, and keeps that only where it is better. Where weights can't
    be downloaded, a network that ``may_fall_back`` is given up for ``model``.
    """

    model: str = DEFAULT_MODEL
    architecture: str | None = None
    weights: str | None = None
    size: int | None = None
    classemes: bool = True
    finetune: bool = False
    views: int = 0
    seed: int = 0
    may_fall_back: bool = False


def backbone_of(learning: Learning, collection: Collection, watch: Watch) -> Bundle:
    """What gives the embedding; a network by its name is exported once."""
    if learning.architecture is None:
        return Bundle.load(find(learning.model))
    write = network_backbone(learning.architecture, learning.size)
    out, weights = collection.training / "backbone", learning.weights or "hub"
    depends_on = [learning.architecture, learning.size, weights, _stamp(weights), learning.classemes]
    if not (collection.is_done("backbone", depends_on) and (out / "model.json").is_file()):
        watch.begin(f"making {learning.architecture} ready")
        write(weights, out, classemes=learning.classemes, on_stage=watch.note)
        collection.mark_done("backbone", depends_on)
    return Bundle.load(out)


def disowning(backbone: Bundle, learning: Learning, collection: Collection, watch: Watch) -> Disown:
    """Asks photos about each other: by an embedding, and by classifiers that learnt from the others."""

    def disown(manifest: Manifest) -> Opinions:
        kept = [place for place, entry in enumerate(manifest.entries) if not entry.dropped]
        labels = sorted({manifest.entries[place].labels[0] for place in kept})
        counts = manifest.counts()
        if len(labels) < 2 or min(counts[label] for label in labels) < _FOLDS:
            return Opinions({}, {})
        embedded = _embed([manifest.entries[place].path for place in kept], backbone, learning, collection, watch)
        values, optional = embedded.values[:, :1], _classemes_of(backbone, learning)
        places = np.array(kept)[embedded.kept]
        targets = np.array([labels.index(manifest.entries[place].labels[0]) for place in places], np.int64)
        found: dict[int, str] = {}
        owned: dict[int, float] = {}
        for _ in range(_ROUNDS):
            left = np.flatnonzero(~np.isin(places, list(found)))
            groups = [manifest.entries[place].group for place in places[left]]
            if np.bincount(targets[left], minlength=len(labels)).min() < _FOLDS:
                break
            learnt = learn(
                values[left], targets[left], folds=_FOLDS, seed=learning.seed, groups=groups, optional=optional
            )
            said = probabilities(learnt.logits, "single_label", fit_temperature(learnt.logits, targets[left]))
            features = values[left, 0, : values.shape[2] - optional]
            reasons = find_disowned(said, features, targets[left], labels, seed=learning.seed)
            found |= {int(places[left[number]]): reason for number, reason in reasons.items()}
            owned = dict(zip(places[left].tolist(), said[np.arange(len(left)), targets[left]].tolist(), strict=True))
        return Opinions(found, owned)

    return disown


def teach(manifest: Manifest, backbone: Bundle, learning: Learning, collection: Collection, watch: Watch) -> Bundle:
    """Learn the classes of the collection's manifest, and put the model into the store under the collection's name.

    Its passport and the answers that were held out lie beside it. Raises TrainingError, UsageError, OutputError,
    MissingExtra.
    """
    watch.begin("learning the classes")
    depends_on = [_of(manifest), backbone.embedding_id, asdict(replace(learning, finetune=False))]
    made = collection.training / "bundle"
    if not (collection.is_done("transfer", depends_on) and (made / "model.json").is_file()):
        how = Transfer(
            backbone.path,
            size=_size(backbone, learning),
            views=learning.views,
            seed=learning.seed,
            optional=_classemes_of(backbone, learning),
        )
        transfer(collection.manifest, collection.training, how, note=watch.note, on_photo=watch.step)
        collection.mark_done("transfer", depends_on)
    bundle, held_out = Bundle.load(made), HeldOut.read(collection.training / HELD_OUT)
    if learning.finetune and learning.architecture is not None:
        bundle, held_out = _finetuned(manifest, bundle, held_out, learning, collection, watch)
    with collection.passport() as passport:
        table = passport.table()
    return install(bundle, collection.name, {PASSPORT_TABLE: table, HELD_OUT: held_out.bytes})


def _embed(paths: list[str], backbone: Bundle, learning: Learning, collection: Collection, watch: Watch) -> Embedded:
    wanted = backbone.preprocessing
    size = _size(backbone, learning)
    return embed_views(
        paths,
        backbone,
        wanted if size is None else wanted.resized(size),
        views=learning.views,
        seed=learning.seed,
        cache=collection.training / FEATURES,
        on_photo=watch.step,
    )


def _classemes_of(backbone: Bundle, learning: Learning) -> int:
    """How many numbers of the embedding are what the weights' own classifier says."""
    if learning.architecture is None or backbone.embedding is None:
        return 0
    from veduta.training.architectures import find_architecture

    return backbone.embedding.size - find_architecture(learning.architecture).embedding_size


def _size(backbone: Bundle, learning: Learning) -> int | None:
    """The side to shrink photos to; a backbone that was made for it has it already."""
    return learning.size if learning.architecture is None else None


def _finetuned(
    manifest: Manifest, learnt: Bundle, held_out: HeldOut, learning: Learning, collection: Collection, watch: Watch
) -> tuple[Bundle, HeldOut]:
    """The better of ``learnt`` and a fine-tuned network, by a fifth of the photos that neither learnt from.

    The gain in cross-entropy must be twice its standard error, for what was learnt by transfer has seen all photos in
    the end, and the other has not; and its scores must be calibrated, or no threshold means anything.
    """
    kept = manifest.kept
    if len(held_out.targets) != len(kept):
        watch.note("some photos can't be read any more, so no network is fine-tuned on them")
        return learnt, held_out
    part = folds_of(held_out.targets, _FOLDS, learning.seed, [entry.group for entry in kept])
    entries = [
        replace(entry, split="validation" if each == 0 else "train") for entry, each in zip(kept, part, strict=True)
    ]
    tuned = _tune(
        Manifest("single_label", tuple(entries)), learnt.preprocessing.sizes[0][0], learning, collection, watch
    )
    judged = HeldOut(held_out.logits[part == 0], held_out.targets[part == 0])
    answers = HeldOut(_logits(tuned, [each.path for each in entries if each.split == "validation"]), judged.targets)
    gain = _losses(judged) - _losses(answers)
    error = float(gain.std()) / np.sqrt(len(gain))
    told = f"its loss on {len(gain):,} photos is lower by {gain.mean():.3f}, with a standard error of {error:.3f}"
    if gain.mean() > _CLEARLY * error and tuned.heads[0].temperature is not None:
        watch.note(f"the fine-tuned network is kept: {told}")
        return tuned, answers
    watch.note(f"the classifier on untouched features is kept; of the fine-tuned network, {told}")
    return learnt, held_out


def _tune(manifest: Manifest, size: int, learning: Learning, collection: Collection, watch: Watch) -> Bundle:
    """Train the network's last blocks on the photos for training, and choose the epoch on the others."""
    depends_on = [_of(manifest), asdict(learning)]
    # A folder by what it depends on: a run that was killed goes on, one on other photos begins anew.
    run = collection.training / f"finetune-{digest(depends_on)[:12]}"
    for stale in set(collection.training.glob("finetune-*")) - {run}:
        shutil.rmtree(stale, ignore_errors=True)
    data = run / f"{collection.name}.csv"
    write_manifest(data, manifest)
    if not (collection.is_done("finetune", depends_on) and (run / "bundle" / "model.json").is_file()):
        watch.begin("training the network's last blocks")
        train(
            data,
            run,
            recipe="finetune",
            architecture=learning.architecture,
            weights=learning.weights or "hub",
            size=size,
            side=min(size, SIDE),
            train_last=LAST_BLOCKS,
            epochs=EPOCHS,
            refit=False,
            seed=learning.seed,
            progress=Progress(step=lambda step, steps, _loss: watch.step(step, steps), note=watch.note),
        )
        collection.mark_done("finetune", depends_on)
    return Bundle.load(run / "bundle")


def _logits(bundle: Bundle, paths: list[str]) -> NDArray[np.float32]:
    session = Session(bundle.graph)
    parts = [
        session.run(read_pixels(paths[first : first + 32], bundle.preprocessing), ["logits"])["logits"]
        for first in range(0, len(paths), 32)
    ]
    return np.concatenate(parts)


def _losses(answers: HeldOut) -> NDArray[np.float64]:
    """The cross-entropy of each photo, at the temperature that suits all."""
    said = probabilities(answers.logits, "single_label", fit_temperature(answers.logits, answers.targets))
    own = said[np.arange(len(said)), answers.targets].astype(np.float64)
    losses: NDArray[np.float64] = -np.log(np.maximum(own, 1e-12))
    return losses


def _of(manifest: Manifest) -> list[tuple[str, str]]:
    return [(entry.path, entry.labels[0]) for entry in manifest.kept]


def _stamp(weights: str) -> object:
    """Changes with a file of weights."""
    path = Path(weights)
    return [path.stat().st_size, path.stat().st_mtime_ns] if path.is_file() else None
