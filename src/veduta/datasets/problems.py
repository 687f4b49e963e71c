"""What is wrong with a set, before any photo is decoded: what no training can use, and what somebody should look at."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from veduta.datasets.identical import look_at_files
from veduta.datasets.manifest import SEPARATOR, Entry, Manifest
from veduta.datasets.select import UNWANTED
from veduta.datasets.split import SPLITS
from veduta.errors import UsageError
from veduta.images.limits import printable

#: A class of fewer photos can't be learnt and judged as well.
FEW = 10
PARTS = SPLITS[3]


@dataclass(frozen=True, slots=True)
class Problem:
    """``words`` are a sentence that says what, where, and what to do; a training refuses what is ``fatal``."""

    words: str
    fatal: bool


def problems(manifest: Manifest, few: int = FEW) -> list[Problem]:
    """Every problem of a set's labels and files, the fatal ones first.

    Fatal are fewer than two classes, a class without a photo or with one, names that differ by case or space alone, a
    photo under two labels where each has one, a class of copies of one photo, a class that is judged and not learnt,
    an unknown split, one path or group in two splits, photos that are not there at all. Files are compared where they
    have one size; none is decoded.
    """
    found = [
        *_few_classes(manifest),
        *_starved(manifest, few),
        *_alike([label for label, count in manifest.counts().items() if count or label in manifest.empty]),
        *part_problems(manifest),
        *_of_files(manifest),
        *_bare(manifest),
    ]
    return sorted(found, key=lambda problem: not problem.fatal)


def part_problems(manifest: Manifest) -> list[Problem]:
    """Where photos have splits, those that there are not, and classes that are missing from one."""
    parts: dict[str, set[str]] = defaultdict(set)
    for entry in manifest.kept:
        for label in entry.labels:
            parts[label].add(entry.split)
    splits = {entry.split for entry in manifest.kept}
    found = [
        Problem(f"the split {printable(name)!r} is unknown; a photo has {', '.join(PARTS)} or none.", True)
        for name in sorted(splits - {*PARTS, ""})
    ]
    for label, given in sorted(parts.items()):
        # A photo without a split is learnt from.
        inside = {name or "train" for name in given}
        absent = [name for name in PARTS if name in splits and name not in inside]
        if absent:
            words = (
                f"the class {printable(label)!r} has no photo for {' and '.join(absent)}; split anew, or add photos."
            )
            found.append(Problem(words, "train" in absent and "validation" in inside))
    return [*found, *_parted(manifest)]


def _parted(manifest: Manifest) -> Iterator[Problem]:
    """Groups that a split parts; what is learnt of one photo of them tells of the others."""
    parts: dict[str, set[str]] = defaultdict(set)
    for entry in manifest.kept:
        if entry.group:
            parts[entry.group].add(entry.split or "train")
    for group, given in sorted(parts.items()):
        if len(given) > 1:
            inside = " and ".join(map(printable, sorted(given)))
            yield Problem(f"the group {printable(group)!r} is in {inside}; split it anew, whole.", True)


def check_trainable(manifest: Manifest, data: Path) -> None:
    """Raises UsageError with the first fatal problem of the set that lies at ``data``, and how many more there are."""
    fatal = [problem.words for problem in problems(manifest) if problem.fatal]
    if fatal:
        more = f" That is the first of {len(fatal)}: veduta dataset inspect tells all." if len(fatal) > 1 else ""
        raise UsageError(f"{printable(str(data))}: {fatal[0]}{more}")


def _few_classes(manifest: Manifest) -> Iterator[Problem]:
    found = sorted({label for entry in _learnt(manifest) for label in entry.labels})
    if len(found) < (2 if manifest.task == "single_label" else 1):
        told = f"photos of {printable(found[0])!r} alone" if found else "no photo with a label"
        yield Problem(f"the set has {told} to learn from; a training needs two classes or more.", True)


def _learnt(manifest: Manifest) -> list[Entry]:
    """The photos that are for learning, and for choosing what is learnt."""
    return [entry for entry in manifest.kept if entry.split != "test"]


def _starved(manifest: Manifest, few: int) -> Iterator[Problem]:
    for name in manifest.empty:
        yield Problem(
            f"the class {printable(name)!r} has no photo in its folder; add some, or remove the folder.", True
        )
    learnt = Counter(label for entry in _learnt(manifest) for label in entry.labels)
    unwanted = {label for entry in manifest.entries if entry.dropped.startswith(UNWANTED) for label in entry.labels}
    for label, count in manifest.counts().items():
        name = printable(label)
        if not count:
            if label not in unwanted and label not in manifest.empty:
                yield Problem(f"all photos of the class {name!r} are dropped; a training goes on without it.", False)
        elif learnt[label] == 1:
            there = "1 photo" if count == 1 else f"1 photo that is not for testing, of {count}"
            yield Problem(
                f"the class {name!r} has {there}, and needs one to learn from and one to be judged on; add some, or "
                "drop it: veduta dataset select --min-per-class 2.",
                True,
            )
        elif count < few:
            yield Problem(
                f"the class {name!r} has {count} photos; add some, or drop it with --min-per-class {few}.", False
            )


def _alike(labels: Sequence[str]) -> Iterator[Problem]:
    spellings: dict[str, list[str]] = defaultdict(list)
    for label in labels:
        spellings["".join(each for each in label.casefold() if each.isalnum())].append(label)
    for names in spellings.values():
        if len(names) < 2:
            continue
        listed = " and ".join(repr(printable(name)) for name in names)
        same = len({"".join(name.split()).casefold() for name in names}) < len(names)
        apart = "case or space alone" if same else "marks alone"
        yield Problem(f"the classes {listed} differ by {apart}; give photos of one class one name.", same)


def _of_files(manifest: Manifest) -> Iterator[Problem]:
    kept = manifest.kept
    files = look_at_files([entry.path for entry in kept])
    if files.missing:
        gone = len(files.missing) == len(kept)
        told = (
            f"none of the {len(kept):,} photos is"
            if gone
            else f"{len(files.missing):,} of {len(kept):,} photos are not"
        )
        first = printable(kept[files.missing[0]].path)
        yield Problem(f"{told} where the set says, such as {first}; was it moved without them?", gone)
    counts = manifest.counts()
    for group in files.same:
        copies = [kept[place] for place in group]
        yield from _of_one_photo(counts, copies)
        yield from _contradiction(manifest, copies)


def _contradiction(manifest: Manifest, copies: Sequence[Entry]) -> Iterator[Problem]:
    """What a photo that is there several times says of itself."""
    labels = sorted({SEPARATOR.join(entry.labels) for entry in copies})
    splits = sorted({entry.split for entry in copies} - {""})
    paths = list(dict.fromkeys(printable(entry.path) for entry in copies))
    what = f"{paths[0]} is listed {len(copies)} times"
    if len(paths) > 1:
        what = f"{paths[0]} and {paths[1]}{f' and {len(paths) - 2} more' * (len(paths) > 2)} are one photo"
    if len(labels) > 1:
        under = " and ".join(repr(printable(label) or "no label") for label in labels)
        yield Problem(f"{what}, under {under}; leave it under one.", manifest.task == "single_label" or len(paths) == 1)
    elif len(splits) > 1:
        yield Problem(f"{what}, in {' and '.join(map(printable, splits))}; leave it in one.", len(paths) == 1)
    else:
        yield Problem(f"{what}; leave it once.", False)


def _of_one_photo(counts: Mapping[str, int], copies: Sequence[Entry]) -> Iterator[Problem]:
    """Classes that have no photo but copies of one."""
    for label, count in Counter(label for entry in copies for label in entry.labels).items():
        if 1 < count == counts[label]:
            yield Problem(
                f"all {count} photos of the class {printable(label)!r} are one photo, such as "
                f"{printable(copies[0].path)}; add others, or drop the class.",
                True,
            )


def _bare(manifest: Manifest) -> Iterator[Problem]:
    bare = sum(not entry.labels for entry in manifest.kept)
    if bare:
        words = (
            f"{bare:,} of {len(manifest.kept):,} photos have no label; they teach what none of the labels looks like."
        )
        yield Problem(words, False)
