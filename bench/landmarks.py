"""How well are landmarks named, and photos of none refused? What does each part of the training bring?

30 landmarks, 70 % of each to train with and 30 % to test, copies kept together. ``sun27`` shows none in training, the
thresholds are chosen by photos of other sets, and everyday photos and pets, seen never before, test them. A training
takes twenty minutes or so; finished ones are kept in the folder of the results, stopped ones go on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import veduta
from bench.report import Report, Table, Verdict, percent
from bench.settings import DATA, MOBILENET_WEIGHTS, Scale, Settings
from veduta.datasets.clean import survey_and_clean
from veduta.datasets.identical import join_groups
from veduta.datasets.manifest import Manifest, read_data, write_manifest
from veduta.datasets.reading import read_pixels
from veduta.datasets.select import select
from veduta.datasets.split import read_shares, split_manifest
from veduta.errors import BundleError
from veduta.images.pool import DecodePool
from veduta.images.preprocess import Preprocessing
from veduta.images.sources import expand
from veduta.models.bundle import Bundle
from veduta.models.threads import available_threads
from veduta.recognition.landmarks.recogniser import PhotoEmbedder
from veduta.recognition.landmarks.references import unit
from veduta.training.landmarks.joined import pooled_features
from veduta.training.landmarks.outliers import SHARE, outliers
from veduta.training.landmarks.train import SCHEDULE, LandmarkRecipe, train_embedding
from veduta.training.landmarks.whitening import principal_components
from veduta.training.loop import Execution
from veduta.training.people import People, split_people
from veduta.training.photo_sets import PhotoSet
from veduta.training.progress import Progress
from veduta.training.start import start_network
from veduta.workflows.judge_landmarks import judge
from veduta.workflows.landmarks import build_index

#: The share of people that no training sees.
STRANGERS = 0.3
#: The wrong photos that are seeded into a landmark.
WRONG = 30
# Every third landmark is kept out of a training, to be enrolled afterwards.
_KEPT_OUT = 3
# By ImageNet's weights; what the bundled model takes for one of these is left out of the photos that choose thresholds.
_LIKE_LANDMARKS = ("temple", "palace", "castle", "church", "monastery", "abbey", "ruin", "mosque", "tower", "arch")
_MOST_LIKE = 0.25


@dataclass(frozen=True, slots=True)
class Variant:
    """A training: its recipe, whether people are pasted in, whether every third landmark is kept out."""

    recipe: LandmarkRecipe = field(default_factory=lambda: LandmarkRecipe(weights=MOBILENET_WEIGHTS))
    people: bool = True
    kept_out: bool = False


def variants(scale: Scale) -> dict[str, Variant]:
    """What is trained at a scale, the default first."""
    usual = LandmarkRecipe(weights=MOBILENET_WEIGHTS)
    if scale.name != "full":
        short = replace(usual, size=96, embedding=32, schedule=replace(SCHEDULE, epochs=scale.epochs, side=96))
        return {"as shipped": Variant(short), "every third landmark kept out": Variant(short, kept_out=True)}
    return {
        "as shipped": Variant(usual),
        "every third landmark kept out": Variant(usual, kept_out=True),
        "without people": Variant(usual, people=False),
        "center loss": Variant(replace(usual, loss="center")),
        "new layers alone": Variant(replace(usual, schedule=replace(SCHEDULE, train_last=0))),
    }


def run(settings: Settings) -> Report:
    """Each training, judged; and how well wrong photos are found."""
    report = Report("landmarks")
    out = settings.out / "landmarks"
    out.mkdir(parents=True, exist_ok=True)
    data = out / "landmarks.csv"
    manifest = divided(settings.scale)
    write_manifest(data, manifest)
    knowing, strangers = split_people(People.read(DATA / "people"), STRANGERS)
    others = Others.find(settings.scale)
    rows = []
    for name, variant in variants(settings.scale).items():
        told = _variant(out / name.replace(" ", "-"), variant, manifest, others, knowing, strangers)
        report.figures[name] = told
        rows.append((name, *_cells(told)))
        print(" | ".join(rows[-1]), flush=True)
        report.verdicts += _verdicts(name, told)
    report.tables.append(Table("Landmarks", _COLUMNS, rows))
    _scrape_noise(report, manifest, others)
    return report


def divided(scale: Scale) -> Manifest:
    """The landmarks' photos, 70 % of each for training; copies are one group and all of them count."""
    manifest = select(read_data(DATA / "landmarks"), max_per_class=scale.own, seed=0)
    entries = tuple(replace(entry, path=str(Path(entry.path).resolve())) for entry in manifest.kept)
    manifest = replace(manifest, entries=entries)
    with DecodePool(available_threads()) as pool:
        copies = survey_and_clean(manifest, pool).copies
    together = join_groups([entry.group for entry in entries], copies)
    manifest = manifest.changed(lambda place, entry: replace(entry, group=together[place]))
    return split_manifest(manifest, read_shares("70/30"), seed=0)


@dataclass(frozen=True, slots=True)
class Others:
    """Photos without landmarks: to train with, to choose thresholds by, to test with."""

    training: list[str]
    choosing: list[str]
    testing: list[str]

    @classmethod
    def find(cls, scale: Scale) -> Others:
        most = scale.own * 27
        choosing = [
            *_paths("sun_attributes/images", most),
            *_without_buildings(_paths("multilabel_natural/images", most)),
        ]
        testing = [*_paths("distractors", most), *_paths("cat_dog", most)]
        return cls(_paths("sun27", most), choosing, testing)


def _paths(folder: str, most: int) -> list[str]:
    found = [sample.path for sample in expand([str(DATA / folder)])]
    return found[:: max(1, len(found) // most)]


def _without_buildings(paths: list[str]) -> list[str]:
    tagger = veduta.load()
    alike = [place for place, label in enumerate(tagger.labels) if any(word in label.id for word in _LIKE_LANDMARKS)]
    kept = []
    for path in paths:
        probabilities = tagger.predict(path).probabilities
        assert probabilities is not None
        if float(probabilities[alike].sum()) < _MOST_LIKE:
            kept.append(path)
    return kept


def _variant(
    run: Path, variant: Variant, manifest: Manifest, others: Others, knowing: People, strangers: People
) -> dict[str, Any]:
    """Train, make the index of all landmarks, judge it."""
    out_of_it = manifest.labels[::_KEPT_OUT] if variant.kept_out else ()
    run.mkdir(parents=True, exist_ok=True)
    data, learnt = run / "all.csv", run / "learnt.csv"
    write_manifest(data, manifest)
    entries = tuple(entry for entry in manifest.entries if entry.labels[0] not in out_of_it)
    write_manifest(learnt, replace(manifest, entries=entries))
    bundle = _trained(learnt, run, variant, others.training, knowing)
    embedder = PhotoEmbedder(bundle)
    index = build_index(run / "index.landmarks", data, embedder, others.choosing, thumbnails=False)
    with index.file:
        judged = judge(index, embedder, data, others.testing, people=strangers, few=out_of_it)
    return judged.values()


def _trained(data: Path, run: Path, variant: Variant, others: Sequence[str], people: People) -> Bundle:
    try:
        return Bundle.load(run / "bundle")
    except BundleError:
        told = Progress(note=lambda words: print(words, flush=True), epoch=lambda each: print(each.epoch, flush=True))
        return train_embedding(
            data,
            others,
            run,
            variant.recipe,
            people=people if variant.people else None,
            execution=Execution(threads=available_threads(), workers=1),
            progress=told,
        )


_COLUMNS = ("training", "landmarks", "others", "landmarks at 1 %, 0.1 %", "people over 20 to 40 %", "closed set", "GAP")


def _cells(told: dict[str, Any]) -> tuple[str, ...]:
    plain, people = told["photos"], told["with_people"]
    return (
        percent(plain["landmarks"]["value"]),
        percent(plain["others"]["value"]),
        f"{percent(plain['landmarks_at_0.01']['value'])}, {percent(plain['landmarks_at_0.001']['value'])}",
        percent(people["landmarks"]["value"]),
        f"{percent(plain['closed_set']['value'])}, with people {percent(people['closed_set']['value'])}",
        f"{plain['gap']:.3f}",
    )


def _verdicts(name: str, told: dict[str, Any]) -> list[Verdict]:
    plain = told["photos"]
    if "enrolled_from" in told:
        few = told["enrolled_from"]["5"]
        value, refused = few["landmarks"]["value"], few["others"]["value"]
        measured = f"{percent(value)} at {percent(refused)}"
        return [Verdict("landmarks enrolled from 5 photos", "≥ 60 %", measured, value >= 0.6 and refused >= 0.99)]
    if name not in ("as shipped", "without people"):
        return []
    lost = plain["landmarks"]["value"] - told["with_people"]["landmarks"]["value"]
    wanted = "≤ 3 points" if name == "as shipped" else "told"
    loss = Verdict(
        f"lost by people, {name}", wanted, f"{100 * lost:.1f}", lost <= 0.03 if name == "as shipped" else None
    )
    if name != "as shipped":
        return [loss]
    value, refused = plain["landmarks"]["value"], plain["others"]["value"]
    reached = value >= 0.72 and refused >= 0.99
    found = f"{percent(value)} at {percent(refused)}"
    return [Verdict("landmarks at photos of none refused", "≥ 72 % at ≥ 99 %", found, reached), loss]


def _scrape_noise(report: Report, manifest: Manifest, others: Others) -> None:
    """Wrong photos of three kinds are seeded into every third landmark in turn, and looked for."""
    network, _ = start_network("mobilenet_v2", 2, MOBILENET_WEIGHTS, 0, Execution(threads=available_threads()), print)
    wanted = Preprocessing.squeezed(LandmarkRecipe().size)

    def features(paths: Sequence[str]) -> NDArray[np.float32]:
        pixels = read_pixels(list(paths), wanted)
        return unit(pooled_features(network, PhotoSet(pixels, np.zeros(len(pixels), np.int64))))

    of_landmarks = features([entry.path for entry in manifest.kept])
    targets = np.array([manifest.labels.index(entry.labels[0]) for entry in manifest.kept], np.int64)
    besides = features(others.training)
    pets = [path for path in others.testing if "cat_dog" in path]
    kinds: dict[str, NDArray[np.float32] | None] = {
        "everyday photos": features([path for path in others.testing if path not in pets]),
        "cats and dogs, which are alike": features(pets),
        "other landmarks": None,
    }
    random, rows = np.random.default_rng(0), []
    for kind, strangers in kinds.items():
        found, lost = [], []
        for landmark in range(0, len(manifest.labels), _KEPT_OUT):
            photos, told = of_landmarks, targets.copy()
            if strangers is None:
                elsewhere = np.flatnonzero(targets != landmark)
                wrong = random.choice(elsewhere, min(WRONG, len(targets) // 30), replace=False)
                told[wrong] = landmark
            else:
                drawn = random.choice(len(strangers), min(WRONG, len(strangers)), replace=False)
                wrong = len(photos) + np.arange(len(drawn))
                photos = np.concatenate([photos, strangers[drawn]])
                told = np.concatenate([told, np.full(len(drawn), landmark)])
            dropped = _outliers(photos, told, besides)
            right = np.setdiff1d(np.flatnonzero(told == landmark), wrong)
            found.append(float(dropped[wrong].mean()))
            lost.append(float(dropped[right].mean()))
        shares = {"found": float(np.mean(found)), "lost": float(np.mean(lost))}
        report.figures[f"scrape noise, {kind}"] = shares
        rows.append((kind, *map(percent, shares.values())))
        if "alike" not in kind:
            reached = shares["found"] >= 0.8 and shares["lost"] <= 0.03
            told_as = f"{percent(shares['found'])}, {percent(shares['lost'])}"
            report.verdicts.append(
                Verdict(f"wrong photos in a landmark, {kind}", "≥ 80 %, ≤ 3 % lost", told_as, reached)
            )
    report.tables.append(Table(f"{WRONG} wrong photos in a landmark", ("kind", "found", "good ones lost"), rows))


def _outliers(photos: NDArray[np.float32], told: NDArray[np.int64], besides: NDArray[np.float32]) -> NDArray[np.bool_]:
    """As a training finds them, by the features of the network that it starts from."""
    values = np.concatenate([photos, besides])
    mean, components = principal_components(values, min(256, *values.shape))
    values = unit((values - mean) @ components.T)
    return outliers(values[: len(told)], told, values[len(told) :], SHARE)
