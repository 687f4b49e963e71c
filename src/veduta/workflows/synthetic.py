"""A training with generated pictures beside the photos, which are kept only where they help on photos held out.

Twice the same training, without and with them; both models are asked about real photos that neither saw, and the one
with generated pictures is taken where the difference on the same photos is above nothing by its whole interval.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from blake3 import blake3
from numpy.typing import NDArray

from veduta.datasets.identical import content_names, join_groups
from veduta.datasets.manifest import Entry, Manifest, write_manifest
from veduta.datasets.problems import check_trainable
from veduta.datasets.split import split_manifest
from veduta.errors import TrainingError, UsageError
from veduta.evaluation.answers import ask
from veduta.evaluation.labelled_set import read_labelled_set
from veduta.evaluation.metrics import Interval, paired_difference, wilson_interval
from veduta.evaluation.names import match_label
from veduta.generation.photos import read_classes
from veduta.generation.sampler import Sampler
from veduta.images.limits import printable
from veduta.images.pool import DecodePool
from veduta.models.bundle import CARD, Bundle, check_target, move_into_place
from veduta.models.threads import available_threads
from veduta.recognition.tagger import load
from veduta.records import Sample
from veduta.whole_file import not_written, write_whole
from veduta.workflows.sample import write_pictures
from veduta.workflows.watch import Watch

#: In the folder of such a training: what was compared, the two trainings, and the pictures.
REPORT, WITHOUT, WITH, PICTURES = "synthetic.json", "photos-alone", "with-synthetic", "synthetic"

# Of the photos, where nothing says which are to judge by.
_TEST_SHARE = 0.2
# A class of fewer photos, or groups of photos, can't be trained on: some are held out on the way.
_LEAST = 2
#: Trains on a manifest and leaves a model in a folder, both given.
Train = Callable[[Path, Path], Bundle | None]


@dataclass(frozen=True, slots=True)
class Gain:
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

    @property
    def decision(self) -> str:
        """What follows from the interval, in words."""
        if self.kept:
            return "they are kept"
        harm = self.interval[1] < 0
        return "they are not kept, for they do harm" if harm else "they are not kept, for it may be chance"

    def sentences(self) -> tuple[str, ...]:
        """Both accuracies with their intervals, and the decision."""
        accuracies = []
        for name, right in (("photos alone", self.without), ("with generated pictures", self.with_them)):
            low, high = wilson_interval(right, self.photos)
            share = f"{right / self.photos:.1%} ({low:.1%} to {high:.1%})"
            accuracies.append(f"{name}: {share} of {self.photos:,} photos held out are right")
        low, high = self.interval
        return (
            *accuracies,
            f"{self.generated:,} generated pictures beside {self.learnt:,} photos bring {100 * self.gain:+.1f} points "
            f"({100 * low:+.1f} to {100 * high:+.1f}): {self.decision}",
        )

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
) -> tuple[Bundle, Gain]:
    """Train with and without pictures of ``generator``, and leave the better model in ``out/bundle``.

    ``train`` is called twice, with a manifest and a folder. ``share`` of what is trained on is generated, of each class
    that the generator knows. ``judge_by`` are labelled photos that decide; without them those that ``data`` has for
    testing, or a fifth of each class. The generator learnt from none of these, or its pictures could give them away.
    The same call again goes on: nothing that is whole is made anew.
    Raises UsageError for shares, classes and photos that can't be meant, OutputError, and what the training raises.
    """
    if not 0 < share < 0.95:
        raise UsageError(f"a share of {share:g} can't be generated; give one above 0 and below 0.95.")
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise TrainingError("a training with generated pictures runs in one process; start it without torchrun.")
    check_target(out / "bundle", replace=True)
    sampler = Sampler.load(generator)
    if not sampler.spec.learnt:
        raise UsageError(
            f"{sampler.bundle.name} does not tell which photos it learnt from, so none can be said to be new to it; "
            "use one that `veduta generate train` left."
        )
    manifest, judged = _divided(data, judge_by, sampler, seed)
    pictures = _pictures(manifest, sampler, share, seed, out / PICTURES, watch)
    sets = {WITHOUT: manifest, WITH: replace(manifest, entries=(*manifest.entries, *pictures))}
    hits = {}
    for name, each in sets.items():
        watch.begin(f"training, {name.replace('-', ' ')}")
        # Makes the folder, too.
        write_manifest(out / name / "set.csv", each)
        bundle = train(out / name / "set.csv", out / name)
        assert bundle is not None  # one process
        hits[name] = _hits(bundle, judged)
    gain, interval = paired_difference(hits[WITHOUT], hits[WITH])
    found = Gain(
        photos=len(judged),
        learnt=sum(entry.split != "test" for entry in manifest.kept),
        generated=len(pictures),
        without=int(hits[WITHOUT].sum()),
        with_them=int(hits[WITH].sum()),
        gain=gain,
        interval=interval,
    )
    write_whole(out / REPORT, (json.dumps(found.values(), indent=2) + "\n").encode())
    better = out / (WITH if found.kept else WITHOUT) / "bundle"
    return _leave(better, out / "bundle", _section(found, sampler.bundle.name)), found


def _divided(data: Path, judge_by: Path | None, sampler: Sampler, seed: int) -> tuple[Manifest, list[Entry]]:
    """The set with whole paths, those to judge by among them marked for testing; and the photos to judge by."""
    where, manifest = printable(str(data)), read_classes(data)
    check_trainable(manifest, data)
    if len(manifest.photos) < len(manifest.kept):
        raise UsageError(f"{where} has generated pictures already; give photos alone, to see what pictures bring.")
    # Manifests of the trainings lie elsewhere.
    manifest = manifest.changed(lambda _place, entry: replace(entry, path=str(Path(entry.path).resolve())))
    learnt = set(sampler.spec.learnt)
    if judge_by is not None:
        judged = list(read_labelled_set(judge_by).entries)
        _check_classes(judge_by, judged, manifest)
        trained = {name for name in content_names([entry.path for entry in manifest.kept]) if name}
        _check_unknown(judged, trained, f"is among the photos of {where}")
    else:
        if not any(entry.split == "test" for entry in manifest.kept):
            manifest = _with_test(manifest, learnt, seed)
        judged = [entry for entry in manifest.kept if entry.split == "test"]
    _check_unknown(judged, learnt, f"is one that {sampler.bundle.name} learnt from")
    return manifest, judged


def _check_unknown(judged: Sequence[Entry], known: Collection[str], what: str) -> None:
    """Raises UsageError where a photo to judge by has a content that is known."""
    for entry, name in zip(judged, content_names([entry.path for entry in judged]), strict=True):
        if name in known:
            raise UsageError(
                f"{printable(entry.path)} {what}, so it can't tell whether pictures help; name others to judge by "
                "(--judge-by)."
            )


def _with_test(manifest: Manifest, learnt: Collection[str], seed: int) -> Manifest:
    """The set with a fifth of each class for testing: photos that the generator does not know, nor any of their group.

    Raises UsageError where a class can't be parted so.
    """
    names = content_names([entry.path for entry in manifest.entries])
    same: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        same.setdefault(name or f"\0{place}", []).append(place)
    groups = join_groups([entry.group for entry in manifest.entries], [each for each in same.values() if len(each) > 1])
    known = {groups[place] for place, name in enumerate(names) if name in learnt and groups[place]}
    ready = [
        replace(
            entry,
            group=groups[place],
            split="train" if names[place] in learnt or groups[place] in known or entry.split == "validation" else "",
        )
        for place, entry in enumerate(manifest.entries)
    ]
    for label in manifest.labels:
        own = [entry.split for entry in ready if not entry.dropped and entry.labels[0] == label]
        if own and all(own):
            raise UsageError(
                f"the generator learnt from all photos of {printable(label)}, and none is left that could tell whether "
                "its pictures help; name others to judge by (--judge-by)."
            )
    dealt = split_manifest(
        replace(manifest, entries=tuple(ready)), {"train": 1 - _TEST_SHARE, "test": _TEST_SHARE}, seed
    )
    for label in manifest.labels:
        members = [entry for entry in dealt.kept if entry.labels[0] == label]
        learnt_from = {entry.group or entry.path for entry in members if entry.split == "train"}
        if members and (len(learnt_from) < _LEAST or all(entry.split == "train" for entry in members)):
            raise UsageError(
                f"of {len(members):,} photos of {printable(label)} none can judge while {_LEAST} that do not belong "
                "together are learnt from, for they are few, belong together, or the generator knows them; name others "
                "to judge by (--judge-by)."
            )
    tested = {place for place, entry in enumerate(dealt.entries) if not entry.dropped and entry.split == "test"}
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
    photos = Counter(entry.labels[0] for entry in manifest.kept if entry.split in ("", "train"))
    known = sorted(label for label in photos if match_label(label, sampler.spec.labels) is not None)
    if not known:
        raise UsageError(f"{sampler.bundle.name} makes none of the classes; it makes {', '.join(sampler.labels[:12])}.")
    unknown = sorted(photos.keys() - set(known))
    if unknown:
        watch.note(f"the generator does not know {', '.join(printable(label) for label in unknown[:8])}: photos alone")
    counts = {label: round(photos[label] * share / (1 - share)) for label in known}
    total = sum(counts.values())
    if not total:
        raise UsageError(f"a share of {share:g} of so few photos is no picture; give a larger one (--synthetic-share).")
    split = "train" if any(entry.split == "validation" for entry in manifest.kept) else ""
    entries: list[Entry] = []
    seen: set[bytes] = set()
    # Pictures of another generator, seed or class are other files.
    folder = folder / f"{sampler.bundle.bundle_id[:16]}-{seed}"
    for label in known:
        own = folder / blake3(label.encode()).hexdigest(8)
        paths = [own / f"{index:06}.png" for index in range(counts[label])]
        write_pictures(paths, sampler, [label], seed)
        for path in paths:
            digest = blake3(path.read_bytes()).digest()
            if digest not in seen:
                entries.append(Entry(str(path.resolve()), (label,), split, synthetic=sampler.bundle.bundle_id))
            seen.add(digest)
        watch.step(len(entries), total)
    if len(entries) <= total // 2:
        raise UsageError(
            f"of {total:,} pictures that {sampler.bundle.name} makes {len(entries):,} differ: it has collapsed, or "
            "learnt nothing yet. Train it on, or look at its samples.png."
        )
    return entries


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


def _section(found: Gain, generator: str) -> str:
    """What the card of the model tells of the comparison, as Markdown."""
    said = "\n".join(f"- {sentence[0].upper()}{sentence[1:]}." for sentence in found.sentences())
    return f"\n## With and without pictures of {printable(generator)}\n\n{said}\n"


def _leave(better: Path, out: Path, section: str) -> Bundle:
    """A copy of the better model with one more section in its card, whole or not there at all."""
    try:
        made = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
        try:
            shutil.copytree(better, made, dirs_exist_ok=True)
            made.chmod(0o755)  # mkdtemp's 0700 would hide a model in a shared folder
            with (made / CARD).open("a", encoding="utf-8") as card:
                card.write(section)
            move_into_place(made, out)
        finally:
            shutil.rmtree(made, ignore_errors=True)
    except OSError as error:
        raise not_written(out, error) from error
    return Bundle.load(out)
