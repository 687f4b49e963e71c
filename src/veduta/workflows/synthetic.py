"""A training with generated pictures beside the photos, which are kept only where they help on photos held out.

Twice the same training, without and with them; both models are asked about real photos that neither saw, and the one
with generated pictures is taken where the difference on the same photos is above nothing by its whole interval.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from blake3 import blake3
from numpy.typing import NDArray

from veduta.datasets.manifest import Entry, Manifest, read_data, write_manifest
from veduta.datasets.problems import check_trainable
from veduta.datasets.split import hold_out_share
from veduta.errors import TrainingError, UsageError
from veduta.evaluation.answers import ask
from veduta.evaluation.labelled_set import read_labelled_set
from veduta.evaluation.metrics import Interval, paired_difference, wilson_interval
from veduta.evaluation.names import match_label
from veduta.generation.pictures import png_bytes
from veduta.generation.sampler import Sampler
from veduta.images.limits import printable
from veduta.images.pool import DecodePool
from veduta.models.bundle import Bundle, check_target, move_into_place
from veduta.models.threads import available_threads
from veduta.recognition.tagger import load
from veduta.records import Sample
from veduta.whole_file import write_whole
from veduta.workflows.watch import Watch

#: In the folder of such a training: what was compared, the two trainings, and the pictures.
REPORT, WITHOUT, WITH, PICTURES = "synthetic.json", "photos-alone", "with-synthetic", "synthetic"

# Of the photos, where nothing says which are to judge by.
_TEST_SHARE = 0.2

#: Trains on a manifest and leaves a model in a folder, both given.
Train = Callable[[Path, Path], Bundle | None]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What generated pictures brought: ``without`` and ``with_them`` are how many of ``photos`` were right.

    ``generated`` pictures were added to ``learnt`` photos of training; ``gain`` is the difference on the same photos,
    with its 95 % interval (paired bootstrap).
    """

    photos: int
    learnt: int
    generated: int
    without: int
    with_them: int
    gain: float
    interval: Interval

    @property
    def kept(self) -> bool:
        """Whether they help beyond doubt."""
        return self.interval[0] > 0

    def values(self) -> dict[str, Any]:
        """As JSON values."""
        shares = {"photos_alone": self.without, "with_synthetic": self.with_them}
        right = {
            name: {"right": hits / self.photos, "interval": list(wilson_interval(hits, self.photos))}
            for name, hits in shares.items()
        }
        return {
            "judged_by": self.photos,
            "trained_on_photos": self.learnt,
            "generated": self.generated,
            **right,
            "gain": self.gain,
            "gain_interval": list(self.interval),
            "kept": self.kept,
        }


def train_with_synthetic(
    data: Path,
    out: Path,
    generator: str | Path,
    train: Train,
    *,
    share: float = 0.5,
    judge_by: Path | None = None,
    seed: int = 0,
    watch: Watch = Watch(),  # noqa: B008
) -> tuple[Bundle, Verdict]:
    """Train with and without pictures of ``generator``, and leave the better model in ``out/bundle``.

    ``train`` is called twice, with a manifest and a folder. ``share`` of what is trained on is generated, of each class
    that the generator knows. ``judge_by`` are labelled photos that decide; without them those that ``data`` has for
    testing, or a fifth of each class. The same call again goes on: nothing that is whole is made anew.
    Raises UsageError for shares and classes that can't be meant, and what the training raises.
    """
    if not 0 < share < 0.95:
        raise UsageError(f"a share of {share:g} can't be generated; give one above 0 and below 0.95.")
    check_target(out / "bundle", replace=True)
    sampler = Sampler.load(generator)
    manifest = read_data(data)
    check_trainable(manifest, data)
    if manifest.task != "single_label":
        raise UsageError(f"{printable(str(data))} has photos with several labels; a generator makes pictures of one.")
    manifest = _whole_paths(manifest)
    if judge_by is None:
        manifest = _with_test(manifest, seed)
        judged = [entry for entry in manifest.kept if entry.split == "test" and not entry.synthetic]
    else:
        judged = list(read_labelled_set(judge_by).entries)
        _check_classes(judge_by, judged, manifest)
    pictures = _pictures(manifest, sampler, share, seed, out / PICTURES, watch)
    sets = {WITHOUT: manifest, WITH: replace(manifest, entries=(*manifest.entries, *pictures))}
    hits = {}
    for name, each in sets.items():
        watch.begin(f"training, {name.replace('-', ' ')}")
        (out / name).mkdir(parents=True, exist_ok=True)
        write_manifest(out / name / "set.csv", each)
        bundle = train(out / name / "set.csv", out / name)
        if bundle is None:
            raise TrainingError("synthetic pictures are judged in one process; train without torchrun.")
        hits[name] = _hits(bundle, judged)
    gain, interval = paired_difference(hits[WITHOUT], hits[WITH])
    learnt = sum(entry.split != "test" and not entry.synthetic for entry in manifest.kept)
    verdict = Verdict(
        photos=len(judged),
        learnt=learnt,
        generated=len(pictures),
        without=int(hits[WITHOUT].sum()),
        with_them=int(hits[WITH].sum()),
        gain=gain,
        interval=interval,
    )
    write_whole(out / REPORT, (json.dumps(verdict.values(), indent=2) + "\n").encode())
    return _leave(out / (WITH if verdict.kept else WITHOUT) / "bundle", out / "bundle"), verdict


def _whole_paths(manifest: Manifest) -> Manifest:
    """Its own manifests lie elsewhere."""
    return manifest.changed(lambda _place, entry: replace(entry, path=str(Path(entry.path).resolve())))


def _with_test(manifest: Manifest, seed: int) -> Manifest:
    """The set with photos to judge by: its own, or a fifth of each class."""
    places = [place for place, entry in enumerate(manifest.entries) if not entry.dropped and not entry.synthetic]
    if any(manifest.entries[place].split == "test" for place in places):
        return manifest
    free = [place for place in places if manifest.entries[place].split != "validation"]
    labels = manifest.labels
    targets = np.array([labels.index(manifest.entries[place].labels[0]) for place in free], np.int64)
    groups = [manifest.entries[place].group for place in free]
    held = hold_out_share(targets, _TEST_SHARE, seed, groups)
    tested = {place for place, each in zip(free, held, strict=True) if each}
    return manifest.changed(lambda place, entry: replace(entry, split="test") if place in tested else entry)


def _check_classes(judge_by: Path, judged: Sequence[Entry], manifest: Manifest) -> None:
    """Raises UsageError where photos to judge by are of no class that is learnt."""
    known = set(manifest.labels)
    other = next((entry for entry in judged if len(entry.labels) != 1 or entry.labels[0] not in known), None)
    if other is not None:
        raise UsageError(
            f"{printable(str(judge_by))} has a photo of {printable(' and '.join(other.labels) or 'nothing')}, which is "
            "no class of the training; give photos of its classes."
        )


def _pictures(manifest: Manifest, sampler: Sampler, share: float, seed: int, folder: Path, watch: Watch) -> list[Entry]:
    """Generate for each class that the generator knows, and write what is not there yet."""
    watch.begin("generating pictures")
    counts = dict.fromkeys(manifest.labels, 0)
    for entry in manifest.kept:
        if entry.split in ("", "train") and not entry.synthetic:
            counts[entry.labels[0]] += 1
    known = {label for label in counts if match_label(label, sampler.spec.labels) is not None}
    unknown = sorted(counts.keys() - known)
    if not known:
        raise UsageError(f"{sampler.bundle.name} makes none of the classes; it makes {', '.join(sampler.labels[:12])}.")
    if unknown:
        watch.note(f"the generator does not know {', '.join(printable(label) for label in unknown[:8])}: photos alone")
    made_by = f"{sampler.bundle.name} ({sampler.bundle.bundle_id[:12]})"
    total = sum(round(counts[label] * share / (1 - share)) for label in known)
    entries: list[Entry] = []
    seen: set[bytes] = set()
    for number, label in enumerate(sorted(known)):
        count = round(counts[label] * share / (1 - share))
        place = folder / f"{number:04}"
        paths = [place / f"{index:05}.png" for index in range(count)]
        if not all(path.is_file() for path in paths):
            place.mkdir(parents=True, exist_ok=True)
            for path, picture in zip(paths, sampler.sample(count, seed, [label]).pictures, strict=True):
                write_whole(path, png_bytes(picture, made_by), sync=False)
        for path in paths:
            digest = blake3(path.read_bytes()).digest()
            if digest not in seen:
                entries.append(Entry(str(path.resolve()), (label,), split="train", synthetic=sampler.bundle.bundle_id))
            seen.add(digest)
        watch.step(len(entries), total)
    if len(entries) <= total // 2:
        raise UsageError(
            f"of {total:,} pictures that {sampler.bundle.name} makes {len(entries):,} differ: it has collapsed, or "
            "learnt nothing yet. Train it on, or look at its samples.png."
        )
    # Photos without a split are divided by the training, which never holds out what is generated.
    return entries if any(entry.split == "validation" for entry in manifest.kept) else _without_split(entries)


def _without_split(entries: list[Entry]) -> list[Entry]:
    return [replace(entry, split="") for entry in entries]


def _hits(bundle: Bundle, judged: Sequence[Entry]) -> NDArray[np.bool_]:
    """Whether a model names the class of each photo first, ``[n]``; of one that can't be decoded it does not."""
    tagger = load(bundle.path)
    with DecodePool(available_threads()) as pool:
        found = ask(tagger, [Sample(entry.path, entry.labels[0]) for entry in judged], pool)
    ids = np.array([label.id for label in tagger.labels])
    said = {
        sample.path: ids[place] == sample.label
        for sample, place in zip(found.samples, found.probabilities.argmax(axis=1), strict=True)
    }
    return np.array([bool(said.get(entry.path, False)) for entry in judged])


def _leave(better: Path, out: Path) -> Bundle:
    """A copy of the better model, whole or not there at all."""
    made = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    try:
        shutil.copytree(better, made, dirs_exist_ok=True)
        move_into_place(made, out)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return Bundle.load(out)
