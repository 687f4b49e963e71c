"""How good, and how fast to make, is a model of one's own classes? Each set in five parts, each tested once.

``sun27``: 27 categories, photos whose short side has at most 256 pixels. ``natural``: five labels at once. The photos
of a part are never seen before it is tested. What is kept in the folder of the results is not made anew.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score

import veduta
from bench.report import Report, Table, Verdict, percent
from bench.settings import DATA, MOBILENET_WEIGHTS, Scale, Settings
from veduta.datasets.manifest import Manifest, read_data, write_manifest
from veduta.datasets.reading import read_pixels
from veduta.datasets.select import select
from veduta.datasets.split import folds_of
from veduta.evaluation.answers import ask
from veduta.evaluation.metrics import bootstrap_values, paired_difference, wilson_interval
from veduta.images.pool import DecodePool
from veduta.models.bundle import Bundle
from veduta.models.session import Session
from veduta.models.threads import available_threads
from veduta.recognition.tagger import DEFAULT_MODEL
from veduta.records import Sample
from veduta.training.backbone import write_backbone

_SEED = 0
#: MobileNetV2, and what its earlier layers say beside the last.
NETWORK = "mobilenet_v2_hypercolumns"
#: Side of the photos in pixels: ImageNet's network sees more in these than at the 224 that it was trained at.
SUN27_SIZE = 320
# Fine-tuning sees smaller crops than the model looks at afterwards.
_LOOKED_AT, _TRAINED_ON = 288, 224
_NATURAL_SIZE, _NATURAL_SIDE, _FROZEN_SIZE = 280, 224, 224

#: Makes a model of a manifest in a folder.
Recipe = Callable[[Path, Path], Bundle | None]
Answers = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class LabelledSet:
    """A set, its photos' labels as rows of 0 and 1, ``[n, c]``, and the part of each, ``[n]``."""

    name: str
    manifest: Manifest
    present: NDArray[np.float32]
    parts: NDArray[np.int64]

    @classmethod
    def read(cls, name: str, data: Path, scale: Scale) -> LabelledSet:
        """So many photos of each class as the scale says, of the set that lies at ``data``."""
        manifest = own_photos(data, scale)
        present = np.zeros((len(manifest), len(manifest.labels)), np.float32)
        for row, entry in enumerate(manifest.entries):
            present[row, [manifest.labels.index(label) for label in entry.labels]] = 1
        targets = present.argmax(axis=1) if manifest.task == "single_label" else present
        return cls(name, manifest, present, folds_of(targets, scale.parts, _SEED))


def own_photos(data: Path, scale: Scale) -> Manifest:
    """The set that lies at ``data`` with so many photos of each class as the scale says, paths made absolute."""
    manifest = select(read_data(data), max_per_class=scale.own, seed=_SEED)
    entries = tuple(replace(entry, path=str(Path(entry.path).resolve())) for entry in manifest.kept)
    return replace(manifest, entries=entries)


def run(settings: Settings) -> Report:
    """sun27 by both recipes, the bundled model's transfer, and the photos with five labels."""
    report = Report("new-classes")
    out = settings.out / "new-classes"
    out.mkdir(parents=True, exist_ok=True)
    sun27 = LabelledSet.read("sun27", DATA / "sun27", settings.scale)
    backbone = write_backbone(NETWORK, MOBILENET_WEIGHTS, SUN27_SIZE, out / "backbone")
    for name, weights, size, most in (
        ("ImageNet's MobileNetV2", backbone.path, None, 90),
        (DEFAULT_MODEL, DEFAULT_MODEL, None, 60),
        (f"{DEFAULT_MODEL} at 192 pixels", DEFAULT_MODEL, 192, None),
    ):
        seconds, top1 = _timed_transfer(sun27.manifest, weights, size)
        report.figures[f"sun27 transfer from {name}"] = {"seconds": seconds, "top1": top1}
        told = f"{seconds:.0f} s ({percent(top1)} right)"
        wanted, reached = ("told", None) if most is None else (f"≤ {most} s", seconds <= most)
        report.verdicts.append(Verdict(f"sun27 transfer from {name}", wanted, told, reached))
    _sun27(report, sun27, backbone, settings.scale.epochs, out)
    natural = LabelledSet.read("natural", DATA / "multilabel_natural" / "labels.csv", settings.scale)
    _natural(report, natural, settings.scale.epochs, out)
    return report


def _timed_transfer(manifest: Manifest, weights: Path | str, size: int | None) -> tuple[float, float]:
    """Seconds from photos to a bundle, and the accuracy on the parts that the recipe itself holds out in turn."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "set.csv"
        write_manifest(data, manifest)
        began = time.perf_counter()
        bundle = veduta.train(data, Path(folder) / "run", recipe="transfer", weights=weights, size=size)
        seconds = time.perf_counter() - began
    assert bundle is not None
    return seconds, next(metric.value for metric in bundle.metrics if metric.name == "top1")


def _sun27(report: Report, photos: LabelledSet, backbone: Bundle, epochs: int, out: Path) -> None:
    recipes: dict[str, Recipe] = {
        "transfer": lambda data, run: veduta.train(data, run, recipe="transfer", weights=backbone.path),
        "finetune": lambda data, run: veduta.train(
            data,
            run,
            recipe="finetune",
            architecture=NETWORK,
            weights=MOBILENET_WEIGHTS,
            size=_LOOKED_AT,
            side=_TRAINED_ON,
            epochs=2 * epochs,
            patience=0,
            mixup=0.2,
            crop=0.35,
        ),
    }
    truth = photos.present.argmax(axis=1)
    hits = {name: _tested(photos, name, make, out).argmax(axis=1) == truth for name, make in recipes.items()}
    rows = []
    for name, right in hits.items():
        low, high = wilson_interval(int(right.sum()), len(right))
        rows.append((name, percent(float(right.mean())), f"{percent(low)} to {percent(high)}"))
    report.figures["sun27 right"] = {name: float(right.mean()) for name, right in hits.items()}
    gain, (low, high) = paired_difference(hits["transfer"], hits["finetune"])
    note = f"Finetune against transfer on the same photos: {_points(gain)} ({_points(low)} to {_points(high)})."
    report.tables.append(
        Table(
            f"sun27, {len(truth):,} photos, {len(np.unique(photos.parts))} parts",
            ("recipe", "right", "95 %"),
            rows,
            note,
        )
    )
    share = float(hits["transfer"].mean())
    _, above = wilson_interval(int(hits["transfer"].sum()), len(truth))
    tuned = float(hits["finetune"].mean())
    report.verdicts += [
        Verdict("sun27, transfer from ImageNet's MobileNetV2", "≥ 92 %", percent(share), share >= 0.92),
        Verdict("sun27, finetune", f"> {percent(above)}, aim 95 %", percent(tuned), tuned > above),
    ]


def _natural(report: Report, photos: LabelledSet, epochs: int, out: Path) -> None:
    """Against a frozen network and a logistic regression behind it, on the same photos."""

    def finetune(data: Path, run: Path) -> Bundle | None:
        return veduta.train(
            data,
            run,
            recipe="finetune",
            architecture=NETWORK,
            weights=DEFAULT_MODEL,
            size=_NATURAL_SIZE,
            side=_NATURAL_SIDE,
            epochs=epochs,
        )

    frozen, tuned = _frozen(photos, out), _tested(photos, "finetune", finetune, out)
    true = photos.present > 0
    values = [mean_average_precision(true, said) for said in (frozen, tuned)]
    drawn = bootstrap_values(
        lambda one, other, there: mean_average_precision(there, other) - mean_average_precision(there, one),
        frozen,
        tuned,
        true,
    )
    report.figures["natural mAP"] = values
    low, high = np.quantile(drawn, (0.025, 0.975))
    gain = f"{values[1] - values[0]:+.3f} ({low:+.3f} to {high:+.3f})"
    rows = [
        ("frozen network and logistic regression", f"{values[0]:.3f}"),
        ("finetune from places100", f"{values[1]:.3f}"),
    ]
    title = f"Five labels at once, {len(true):,} photos, {len(np.unique(photos.parts))} parts"
    report.tables.append(Table(title, ("recipe", "mAP"), rows, f"The gain on the same photos: {gain}, by bootstrap."))
    report.verdicts.append(Verdict("multilabel_natural, mAP", "≥ 0.945", f"{values[1]:.3f}", values[1] >= 0.945))


def _frozen(photos: LabelledSet, out: Path) -> Answers:
    """What is usually written by hand: ImageNet's network as it is, and scikit-learn."""
    backbone = write_backbone("mobilenet_v2", MOBILENET_WEIGHTS, _FROZEN_SIZE, out / "backbone-natural")
    assert backbone.embedding is not None
    name = backbone.embedding.name
    pixels = read_pixels([entry.path for entry in photos.manifest.entries], backbone.preprocessing)
    embeddings = Session(backbone.graph).run(pixels, [name])[name]
    said = np.empty_like(photos.present)
    for part in np.unique(photos.parts):
        test = photos.parts == part
        for label in range(said.shape[1]):
            regression = LogisticRegression(C=0.01, max_iter=1000).fit(embeddings[~test], photos.present[~test, label])
            said[test, label] = regression.predict_proba(embeddings[test])[:, 1]
    return said


def _tested(photos: LabelledSet, name: str, make: Recipe, out: Path) -> Answers:
    """Probabilities ``[n, c]`` of each photo, by the model that was made without the photos of its part."""
    said, parts = np.empty_like(photos.present), np.unique(photos.parts)
    for part in parts:
        test = photos.parts == part
        kept = out / f"{photos.name}-{name}-{part}.npy"
        if not kept.is_file():
            np.save(kept, _answers(photos, test, make, out / f"{photos.name}-{name}-{part}"))
        said[test] = np.load(kept)
        print(f"{photos.name}, {name}: part {part + 1} of {len(parts)}", flush=True)
    return said


def _answers(photos: LabelledSet, test: NDArray[np.bool_], make: Recipe, folder: Path) -> Answers:
    folder.mkdir(exist_ok=True)
    manifest = photos.manifest.changed(lambda place, entry: replace(entry, split="test" if test[place] else ""))
    write_manifest(folder / "set.csv", manifest)
    bundle = make(folder / "set.csv", folder / "run")
    assert bundle is not None
    tagger = veduta.load(bundle.path)
    with DecodePool(available_threads()) as pool:
        found = ask(tagger, [Sample(manifest.entries[place].path) for place in np.flatnonzero(test)], pool)
    assert not found.failures
    order = [[label.id for label in tagger.labels].index(name) for name in manifest.labels]
    shutil.rmtree(folder)
    return found.probabilities[:, order]


def mean_average_precision(true: NDArray[np.bool_], said: Answers) -> float:
    """The mean over labels of the average precision; a label that no drawn photo has says nothing."""
    there = np.flatnonzero(true.any(axis=0))
    return float(np.mean([average_precision_score(true[:, label], said[:, label]) for label in there]))


def _points(share: float) -> str:
    return f"{100 * share:+.1f} points"
