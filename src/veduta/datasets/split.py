"""Which photos a training never sees, by a seeded rule."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from veduta.datasets.manifest import Entry, Manifest
from veduta.errors import UsageError

#: Names of the parts that shares are given for, by how many there are.
SPLITS = {2: ("train", "test"), 3: ("train", "validation", "test")}


def hold_out(targets: NDArray[np.int64], per_class: int, seed: int) -> NDArray[np.bool_]:
    """Mark ``per_class`` photos of each class in ``targets`` ``[n]``; the draw of a class depends on the seed, the
    class and its number of photos alone."""
    held = np.zeros(len(targets), bool)
    for target in np.unique(targets):
        members = np.flatnonzero(targets == target)
        held[np.random.default_rng((seed, int(target))).choice(members, per_class, replace=False)] = True
    return held


def hold_out_share(
    targets: NDArray[np.int64] | NDArray[np.float32], share: float, seed: int, groups: Sequence[str] | None = None
) -> NDArray[np.bool_]:
    """Mark ``share`` of the photos so that each class, or each label, keeps its share among them.

    ``targets`` is ``[n]``, a class each, or ``[n, c]``, 1 for each label that is present. Of many labels the rarest is
    shared out first, then the next among the photos that are left (the idea of Sechidis et al. 2011, "On the
    Stratification of Multi-label Data"). ``groups`` ``[n]`` names photos that stay together, "" those that may go
    alone; with them photos are dealt out as ``split_manifest`` does. Raises UsageError where a side would stay empty,
    or groups leave a label nothing to be learnt from.
    """
    if not 0 < share < 1:
        raise UsageError(f"a share of {share:g} can't be held out; give one between 0 and 1.")
    if groups is not None and any(groups):
        parts = _dealt(targets, {"kept": 1 - share, "held out": share}, seed, groups)
        _check_learnable(targets, parts, judged=[1])
        return np.asarray(parts == 1)
    count = len(targets)
    held, left = np.zeros(count, bool), np.ones(count, bool)
    if targets.ndim == 1:
        strata = [targets == target for target in np.unique(targets)]
    else:
        present = targets > 0
        strata = [present[:, label] for label in np.argsort(present.sum(axis=0), kind="stable")]
        strata.append(~present.any(axis=1))
    for place, stratum in enumerate(strata):
        members = np.flatnonzero(stratum & left)
        wanted = round(share * int(stratum.sum())) - int((stratum & held).sum())
        # A class of two photos or more is on both sides.
        lowest = 1 if stratum.sum() > 1 and not (stratum & held).any() else 0
        drawn = min(max(wanted, lowest), max(0, len(members) - 1))
        held[np.random.default_rng((seed, place)).choice(members, drawn, replace=False)] = True
        left[members] = False
    for label in strata if targets.ndim == 2 else ():
        # Held out with rarer labels, all photos of one may be gone: the first comes back.
        if label.any() and held[label].all():
            held[np.flatnonzero(label)[0]] = False
    if not held.any() or held.all():
        raise UsageError(f"{count} photos are too few to hold out {share:.0%} of them; add photos.")
    return held


def folds_of(
    targets: NDArray[np.int64] | NDArray[np.float32],
    folds: int,
    seed: int,
    groups: Sequence[str] | None = None,
    *,
    learnt_besides: bool = False,
) -> NDArray[np.int64]:
    """The part ``[n]`` of each photo, 0 to ``folds`` - 1, so that each class, or each label, has its share in each.

    ``groups`` ``[n]`` names photos that stay in one part, "" those that may go alone. Raises UsageError where a part
    would stay empty, or a label would lie in one part alone, for then nothing is left to learn it from; with
    ``learnt_besides`` other photos show it, too.
    """
    parts = _dealt(targets, {str(fold): 1 / folds for fold in range(folds)}, seed, groups)
    if not learnt_besides:
        _check_learnable(targets, parts, judged=range(folds))
    return parts


def _dealt(
    targets: NDArray[np.int64] | NDArray[np.float32],
    shares: Mapping[str, float],
    seed: int,
    groups: Sequence[str] | None,
) -> NDArray[np.int64]:
    """The place in ``shares`` ``[n]`` that each photo goes to."""
    labels = (
        [(str(target),) for target in targets]
        if targets.ndim == 1
        else [tuple(str(label) for label in np.flatnonzero(row)) for row in targets]
    )
    entries = tuple(
        Entry(str(place), each, group=groups[place] if groups is not None else "") for place, each in enumerate(labels)
    )
    found = split_manifest(Manifest("multi_label", entries), shares, seed)
    names = list(shares)
    return np.array([names.index(entry.split) for entry in found.entries], np.int64)


def _check_learnable(
    targets: NDArray[np.int64] | NDArray[np.float32], parts: NDArray[np.int64], judged: Collection[int]
) -> None:
    """Raises UsageError where one of the ``judged`` parts has all photos of a label, so that none is left to learn."""
    columns = targets.T > 0 if targets.ndim == 2 else (targets == target for target in np.unique(targets))
    for has in columns:
        found = np.unique(parts[has])
        if len(found) == 1 and int(found[0]) in judged:
            raise UsageError(
                f"{int(has.sum())} photos of one label can't be parted, for they are too few or belong to groups that "
                "stay together; add photos, or drop the label."
            )


def read_shares(text: str) -> dict[str, float]:
    """``80/20`` as train and test, ``60/20/20`` as train, validation and test, shares of 1.

    Raises UsageError for anything else.
    """
    try:
        parts = [float(part) for part in text.split("/")]
    except ValueError:
        parts = []
    if len(parts) not in SPLITS or min(parts) <= 0 or abs(sum(parts) - 100) > 0.5:
        raise UsageError(f"the shares {text!r} can't be meant; give two or three that add up to 100, such as 60/20/20.")
    return {name: part / sum(parts) for name, part in zip(SPLITS[len(parts)], parts, strict=True)}


def split_manifest(manifest: Manifest, shares: Mapping[str, float], seed: int = 0, *, anew: bool = False) -> Manifest:
    """Give each kept photo its split, so that every label has its share in each and no group lies across two.

    Groups are dealt out whole, those with the rarest label first, larger before smaller, else as the seed draws them;
    each goes where most photos of its rarest label are still missing, among equals where most of its labels and then
    most photos are (Sechidis et al. 2011). A label with as many groups as there are splits is in all of them. Photos
    that have a split keep it, unless ``anew``. Generated pictures are for training, whatever the shares.

    Raises UsageError where a split would stay empty, or a photo's own split is none of those asked for.
    """
    entries = [replace(entry, split="") if anew else entry for entry in manifest.entries]
    groups: dict[str, list[int]] = defaultdict(list)
    for place, entry in enumerate(entries):
        if entry.synthetic:
            entries[place] = replace(entry, split=SPLITS[2][0])
        elif not entry.dropped:
            groups[entry.group or f"\0{place}"].append(place)
    given = {name: _given(entries, members, shares) for name, members in groups.items()}
    missing = _wanted(entries, groups, shares)
    for name, split in given.items():
        if split:
            _deal(entries, groups[name], split, missing)
    frequency = Counter(label for entry in manifest.kept if not entry.synthetic for label in entry.labels)
    drawn = np.random.default_rng(seed).permutation(len(groups))
    order = {name: int(number) for name, number in zip(groups, drawn, strict=True)}

    def rarest(name: str) -> tuple[int, int, int]:
        labels = [label for place in groups[name] for label in entries[place].labels]
        return min((frequency[label] for label in labels), default=len(entries)), -len(groups[name]), order[name]

    for name in sorted((name for name, split in given.items() if not split), key=rarest):
        labels = Counter(label for place in groups[name] for label in entries[place].labels or ("",))
        rare = min(labels, key=lambda label: (frequency[label], label))
        needs = {
            # Rounded: shares of the same size are equals.
            split: tuple(
                round(need, 6) for need in (each.of[rare], sum(each.of[label] for label in labels), each.photos)
            )
            for split, each in missing.items()
        }
        _deal(entries, groups[name], max(needs, key=lambda split: needs[split]), missing)
    found = Counter(entry.split for entry in entries if not entry.dropped and not entry.synthetic)
    for split in shares:
        if not found[split]:
            raise UsageError(f"no photo is left for {split}: {len(groups)} groups are too few for {len(shares)} parts.")
    return replace(manifest, entries=tuple(entries))


def _given(entries: list[Entry], members: list[int], shares: Mapping[str, float]) -> str:
    """The split that photos of a group have already; the others of the group follow them."""
    names = sorted({entries[place].split for place in members} - {""})
    if len(names) > 1:
        raise UsageError(
            f"the group of {entries[members[0]].path} lies in {' and '.join(names)}; give it one split, or split anew."
        )
    if names and names[0] not in shares:
        raise UsageError(
            f"{entries[members[0]].path} has the split {names[0]!r}, expected one of {', '.join(shares)}; split anew."
        )
    return names[0] if names else ""


@dataclass(slots=True)
class _Missing:
    """The photos that a split should still get: in all, and ``of`` each label; "" are those that have none."""

    photos: float
    of: dict[str, float]


def _wanted(entries: list[Entry], groups: Mapping[str, list[int]], shares: Mapping[str, float]) -> dict[str, _Missing]:
    """What each split should get."""
    photos: Counter[str] = Counter()
    units: Counter[str] = Counter()
    for members in groups.values():
        labels = Counter(label for place in members for label in entries[place].labels or ("",))
        photos += labels
        units.update(labels.keys())
    count = sum(map(len, groups.values()))
    wanted = {split: _Missing(share * count, {}) for split, share in shares.items()}
    largest = max(shares, key=lambda split: shares[split])
    for label, having in photos.items():
        for split, share in shares.items():
            # One at least, where there are enough; the largest part gives it.
            least = 1.0 if units[label] >= len(shares) and split != largest else 0.0
            wanted[split].of[label] = max(least, share * having)
        wanted[largest].of[label] = having - sum(wanted[split].of[label] for split in shares if split != largest)
    return wanted


def _deal(entries: list[Entry], members: list[int], split: str, missing: dict[str, _Missing]) -> None:
    for place in members:
        entries[place] = replace(entries[place], split=split)
        missing[split].photos -= 1
        for label in entries[place].labels or ("",):
            missing[split].of[label] -= 1
