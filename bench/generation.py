"""How good is a generator, does it notice its failures, and are its pictures of any use?

Ten natural categories of places100, 64 pixels. The good network and DCGAN get the same photos and the same time. All
are judged on the photos of the validation part, which no training here sees. Trainings are kept in the folder of the
results, stopped ones go on; the whole takes some six hours on two cores.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import veduta
from bench.report import Report, Table, Verdict, percent
from bench.settings import DATA, MOBILENET_WEIGHTS, Scale, Settings
from veduta.datasets.manifest import Manifest, read_data, write_manifest
from veduta.datasets.select import select
from veduta.errors import BundleError
from veduta.evaluation.metrics import wilson_interval
from veduta.generation.alarms import Alarm
from veduta.generation.evaluate import Evaluation, evaluate_generator
from veduta.generation.features import FeatureNetwork
from veduta.generation.pictures import grid, png_bytes
from veduta.generation.presets import Preset, find_preset
from veduta.generation.sampler import Sampler
from veduta.generation.train import Length, Progress, train_generator
from veduta.models.bundle import Bundle
from veduta.models.threads import available_threads
from veduta.training.backbone import write_backbone
from veduta.training.execution import Execution
from veduta.whole_file import write_whole
from veduta.workflows.sample import write_evidence
from veduta.workflows.synthetic import Gain, train_with_synthetic

#: The categories, as their folders are called.
NATURE = (
    "coast", "desert-sand", "mountain", "iceberg", "canyon",
    "corn_field", "rainforest", "ski_slope", "valley", "volcano",
)  # fmt: skip
#: Photos of each category in the experiment of few photos.
FEW = 30
_MINUTES, _FEW_MINUTES = 120.0, 40.0
# A training that only shows something, at 32 pixels.
_SHOWN_STEPS = 3000
_SPEED_ROUNDS, _SPEED_PICTURES = 3, 1000


@dataclass(frozen=True, slots=True)
class Training:
    """One generator: by which preset, how long, and what it shows; ``classes`` None is all ten."""

    preset: Preset
    length: Length
    shows: str = ""
    classes: tuple[str, ...] = NATURE


def compared(scale: Scale) -> dict[str, Training]:
    """The good network and the baseline, with the same photos for the same time."""
    length = Length(None, _MINUTES, 500) if scale.name == "full" else Length(scale.steps, None, scale.steps)
    return {name: Training(find_preset(name), length) for name in ("fastgan", "dcgan")}


def classics(scale: Scale) -> dict[str, Training]:
    """What has been shown with generators again and again, small enough to be seen in minutes."""
    steps = _SHOWN_STEPS if scale.name == "full" else scale.steps
    length = Length(steps, None, max(1, steps // 6))

    def small(name: str, shows: str, classes: tuple[str, ...] = NATURE, **changes: Any) -> Training:
        return Training(replace(find_preset(name), side=32, **changes), length, shows, classes)

    one = ("coast",)
    return {
        "dense": small("dense", "linear layers know nothing of neighbourhood: blurs, with noise on them"),
        "convolutional (large set)": small("dcgan", "the same photos and steps, with convolutions: edges and surfaces"),
        "few filters": small("few-filters", "an eighth of the width: fewer details, less variety"),
        "monochrome": small("monochrome", "shapes without colour are easier, and as hard to tell from photos"),
        "small set": small("small-set", "30 photos a class: the discriminator knows them by heart"),
        "small set, augmented": small("small-set-augmented", "the same photos, changed before they are judged"),
        "large set, augmented": small("augmented", "with 300 photos a class it helps less"),
        "one photo": small("one-photo", "the photo itself, whatever the numbers", one),
        "four photos": small("four-photos", "four photos, and nothing between them", one),
    }


def run(settings: Settings) -> Report:
    """Trainings, their figures, the alarms, the speed of sampling, and the use."""
    report = Report("generation")
    out = settings.out / f"generation-{settings.scale.name}"
    out.mkdir(parents=True, exist_ok=True)
    features = FeatureNetwork(_backbone(out / "mobilenet_v2"))
    found = {
        name: _judged(name, each, out, features, settings.scale) for name, each in compared(settings.scale).items()
    }
    rows = [(name, *_cells(each)) for name, each in found.items()]
    report.tables.append(Table("Ten natural categories, 64 pixels", _COLUMNS, rows, _note(found["fastgan"])))
    report.figures["compared"] = {name: each.figures() for name, each in found.items()}
    report.verdicts += _verdicts(found["fastgan"], found["dcgan"])
    _alarms(report, out, settings.scale)
    _speed(report, out / "fastgan" / "bundle")
    shown = {
        name: _judged(name, each, out, features, settings.scale) for name, each in classics(settings.scale).items()
    }
    texts = {name: each.shows for name, each in classics(settings.scale).items()}
    rows = [(name, *_cells(each), texts[name]) for name, each in shown.items()]
    report.tables.append(Table("Classic experiments, 32 pixels", (*_COLUMNS, "it shows"), rows))
    report.figures["classics"] = {name: each.figures() for name, each in shown.items()}
    _use(report, out, settings.scale)
    return report


def _backbone(folder: Path) -> Bundle:
    """ImageNet's MobileNetV2: it was not trained on these photos, as places100 was."""
    try:
        return Bundle.load(folder)
    except BundleError:
        return write_backbone("mobilenet_v2", MOBILENET_WEIGHTS, 224, folder)


def _trained(name: str, training: Training, data: Path, out: Path) -> Bundle:
    """The generator of this training: one that is finished is exported anew, one of another preset refused."""
    folder = out / _folder(name)

    def look(row: dict[str, Any], rung: Sequence[Alarm]) -> None:
        told = ", ".join(alarm.name for alarm in rung)
        print(
            f"{name}: step {row['step']:,}, {row['minutes']:.0f} min, diversity {row['diversity']:.0%} {told}",
            flush=True,
        )

    return train_generator(
        data,
        folder,
        training.preset,
        training.length,
        classes=training.classes,
        execution=Execution("auto", available_threads()),
        progress=Progress(look=look),
    )


def _folder(name: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in name).strip("-")


def _judged(name: str, training: Training, out: Path, features: FeatureNetwork, scale: Scale) -> Evaluation:
    bundle = _trained(name, training, DATA / "places100" / "train", out)
    found = evaluate_generator(
        Sampler(bundle),
        DATA / "places100" / "train",
        held_out=DATA / "places100" / "val",
        count=2000 if scale.name == "full" else 40,
        features=features,
        judge=veduta.load(),
    )
    write_evidence(out / _folder(name) / "evidence", found)
    # What the docs show: small enough to be looked at, each class in turn.
    picture = grid(found.sample.pictures[:40], 10, scale=128 // training.preset.side // 2 or 1)
    write_whole(out / f"{_folder(name)}.png", png_bytes(picture, f"{name}, {bundle.bundle_id[:12]}"))
    return found


_COLUMNS = (
    "training",
    "KID ×1000",
    "FID",
    "precision",
    "recall",
    "diversity",
    "within classes",
    "top-1",
    "top-5",
    "copies",
)


def _cells(found: Evaluation) -> tuple[str, ...]:
    made = found.made_recognised
    assert made is not None
    return (
        f"{1000 * found.kernel_distance:.1f}",
        f"{found.frechet_distance:.1f}",
        percent(found.precision),
        percent(found.recall),
        percent(found.relative_diversity),
        percent(found.relative_diversity_within),
        percent(made.top1.value),
        percent(made.top5.value),
        f"{found.copies.closer:,}",
    )


def _note(found: Evaluation) -> str:
    real = found.real_recognised
    assert real is not None
    return (
        f"Of {found.pictures:,} pictures against {found.real:,} photos never learnt from; features: {found.features}. "
        f"Diversity is a share of the photos'. Of the photos at this size {found.judge} recognises "
        f"{percent(real.top1.value)} (top-1) and {percent(real.top5.value)} (top-5). Copies are closer to a "
        "training photo than one in a hundred "
        f"other photos is (distance {found.copies.limit.distance:.3f}; the closest picture {found.copies.closest:.3f})."
    )


def _verdicts(good: Evaluation, baseline: Evaluation) -> list[Verdict]:
    share = good.kernel_distance / baseline.kernel_distance
    made = good.made_recognised
    assert made is not None
    low, high = made.top5.interval
    return [
        Verdict(
            "KID of fastgan against dcgan, same photos and time",
            "≤ half",
            f"{1000 * good.kernel_distance:.1f} / {1000 * baseline.kernel_distance:.1f} = {share:.2f}",
            share <= 0.5,
        ),
        Verdict(
            "diversity of 2,000 samples against real photos (within classes)",
            "≥ 0.85",
            f"{good.relative_diversity:.2f} ({good.relative_diversity_within:.2f})",
            good.relative_diversity >= 0.85,
        ),
        Verdict(
            "places100, top-5, on samples of the asked category",
            "≥ 60 %",
            f"{percent(made.top5.value)} ({percent(low)} to {percent(high)})",
            made.top5.value >= 0.6,
        ),
        Verdict(
            "copies among 2,000 samples",
            "none",
            f"{good.copies.closer} ({good.copies.expected:.0f} by chance)",
            good.copies.closer == 0,
        ),
    ]


def _alarms(report: Report, out: Path, scale: Scale) -> None:
    """A collapse on purpose must ring; the good run must not."""
    preset = find_preset("collapse")
    photos = preset.per_class or 1
    epochs = 1000 if scale.name == "full" else 2
    steps = epochs * photos * len(NATURE) // preset.batch_size
    training = Training(preset, Length(steps, None, max(1, min(100, steps // 2))))
    _trained("collapse", training, DATA / "places100" / "train", out)
    log = _rows(out / "collapse")
    first = next((row for row in log if {"one_colour", "mode_collapse"} & set(row["alarms"])), None)
    told = "none" if first is None else f"{', '.join(first['alarms'])} in epoch {first['epoch']:.0f}"
    report.verdicts.append(
        Verdict("collapse on purpose: the alarm rings", "before epoch 1,000", told.replace("_", " "), first is not None)
    )
    rung = sorted({name for row in _rows(out / "fastgan") for name in row["alarms"]})
    report.verdicts.append(
        Verdict("alarms in the good run", "none", ", ".join(rung).replace("_", " ") or "none", not rung)
    )
    report.figures["alarms"] = {"collapse": first, "fastgan": rung}


def _rows(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]


def _speed(report: Report, bundle: Path) -> None:
    sampler = Sampler.load(bundle)
    sampler.sample(8)
    speeds = []
    for seed in range(_SPEED_ROUNDS):
        began = time.perf_counter()
        sampler.sample(_SPEED_PICTURES, seed)
        speeds.append(_SPEED_PICTURES / (time.perf_counter() - began))
    best = max(speeds)
    report.figures["sampling"] = speeds
    report.verdicts.append(
        Verdict("sampling by ONNX, 64 px, two cores", "≥ 200 pictures/s", f"{best:.0f}", best >= 200)
    )


def _use(report: Report, out: Path, scale: Scale) -> None:
    """30 photos a class, with and without pictures of a generator that was trained on the same 30."""
    few = out / "few"
    few.mkdir(exist_ok=True)
    data = few / "set.csv"
    write_manifest(data, few_photos(scale))
    length = Length(None, _FEW_MINUTES, 500) if scale.name == "full" else Length(scale.steps, None, scale.steps)
    write_manifest(few / "generator.csv", _with_held_out(scale))
    bundle = _trained("few/fastgan", Training(find_preset("fastgan"), length), few / "generator.csv", out)
    val = few / "val.csv"
    write_manifest(val, _only(read_data(DATA / "places100" / "val")))
    rows = []
    for recipe, train in _recipes(scale).items():
        _, found = train_with_synthetic(data, few / recipe, bundle.path, train, judge_by=val)
        report.figures[f"{FEW} photos a class, {recipe}"] = found.values()
        rows.append((recipe, *_use_cells(found)))
        report.verdicts.append(Verdict(f"{FEW} photos a class, {recipe}", "both, and the decision", rows[-1][3], None))
    report.tables.append(
        Table(
            f"{FEW} photos a class, {found.generated:,} generated pictures beside them, {found.photos:,} photos judge",
            ("recipe", "photos alone", "with generated pictures", "gain, and what follows"),
            rows,
        )
    )


def _recipes(scale: Scale) -> dict[str, Any]:
    epochs = 60 if scale.name == "full" else 1

    def scratch(data: Path, out: Path) -> Bundle | None:
        return veduta.train(
            data, out, recipe="scratch", architecture="small_cnn", size=64, side=64, epochs=epochs, batch_size=32
        )

    def transfer(data: Path, out: Path) -> Bundle | None:
        # Not places100, which has seen these photos.
        return veduta.train(
            data, out, recipe="transfer", architecture="mobilenet_v2", weights=MOBILENET_WEIGHTS, size=128
        )

    return {"scratch": scratch, "transfer": transfer}


def few_photos(scale: Scale) -> Manifest:
    """Of each category as many as the experiment takes, the same each time."""
    return select(_only(read_data(DATA / "places100" / "train")), max_per_class=min(FEW, scale.own), seed=0)


def _with_held_out(scale: Scale) -> Manifest:
    """The same photos for a generator, with others of the categories held out for its alarms alone."""
    learnt = {entry.path for entry in few_photos(scale).kept}
    others = select(_only(read_data(DATA / "places100" / "train")), max_per_class=2 * min(FEW, scale.own), seed=1)
    held = [replace(entry, split="validation") for entry in others.kept if entry.path not in learnt]
    entries = [replace(entry, split="train") for entry in few_photos(scale).kept]
    return replace(others, entries=(*entries, *held))


def _only(manifest: Manifest) -> Manifest:
    """The ten categories, paths made absolute."""
    kept = [entry for entry in manifest.entries if entry.labels[0] in NATURE]
    return replace(manifest, entries=tuple(replace(entry, path=str(Path(entry.path).resolve())) for entry in kept))


def _use_cells(found: Gain) -> tuple[str, str, str]:
    cells = []
    for right in (found.without, found.with_them):
        low, high = wilson_interval(right, found.photos)
        cells.append(f"{percent(right / found.photos)} ({percent(low)} to {percent(high)})")
    low, high = found.interval
    decision = "kept" if found.kept else "not kept"
    return cells[0], cells[1], f"{100 * found.gain:+.1f} ({100 * low:+.1f} to {100 * high:+.1f}) points: {decision}"
