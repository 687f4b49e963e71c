"""What a set of photos is better without: the unreadable, the tiny, the black, copies; and what should be looked at.

Nothing is deleted. Each photo that goes gets its reason in the manifest, and so does each suspicion.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from veduta.datasets.duplicates import Fingerprints, find_copies
from veduta.datasets.identical import join_groups
from veduta.datasets.manifest import Entry, Manifest
from veduta.datasets.survey import Look, Survey, survey
from veduta.errors import MissingExtra, UsageError
from veduta.images.limits import printable
from veduta.images.pool import DecodePool


@dataclass(frozen=True, slots=True)
class Rules:
    """What makes a photo go.

    ``least_side`` is that of the shorter side in pixels, 0 keeps all. A photo whose brightness and contrast are both at
    most ``darkest``, of 255, is black. One whose sharpness is below ``least_sharpness`` is suspected to be blurred: of
    732 SUN photos 1 % are, skies most of all, and 99 % of them after a Gaussian blur of 2 % of their side. One whose
    ground takes ``most_ground`` or more is suspected to be no photograph: none of 1,467 SUN photos, and most logos and
    drawings among photos from the web.
    """

    least_side: int = 64
    darkest: float = 12.0
    least_sharpness: float = 0.85
    most_ground: float = 0.3
    copies: bool = True

    def __post_init__(self) -> None:
        for name in ("least_side", "darkest", "least_sharpness", "most_ground"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise UsageError(f"{name} is {getattr(self, name):g}; it must be 0 or more.")


@dataclass(frozen=True, slots=True)
class Cleaned:
    """A cleaned set.

    ``copies`` are groups of places in the manifest, two or more each, the one that is kept first. ``conflicts`` are
    those of them whose photos do not carry the same labels.
    """

    manifest: Manifest
    copies: tuple[tuple[int, ...], ...] = ()
    conflicts: tuple[tuple[int, ...], ...] = ()


def clean(manifest: Manifest, seen: Survey, rules: Rules = Rules()) -> Cleaned:
    """Drop what the rules say from a manifest whose photos were surveyed in its order.

    Of copies the one with the most pixels is kept, of equal ones the first; they become one group, with the groups
    that they were in, so that no split parts them from photos that look alike. A photo that lies under two labels is
    kept once, and told in its suspicion.
    Raises MissingExtra.
    """
    reasons = {place: f"unreadable: {failure.message}" for place, failure in seen.failures.items()}
    suspicions: dict[int, str] = {}
    for place, look in enumerate(seen.looks):
        if look is None:
            continue
        if min(look.width, look.height) < rules.least_side:
            reasons[place] = f"small: {look.width} by {look.height} pixels"
        elif look.brightness <= rules.darkest and look.contrast <= rules.darkest:
            reasons[place] = f"black: brightness {look.brightness:.0f} of 255"
        elif words := _suspicion(look, rules):
            suspicions[place] = words
    manifest = manifest.dropping(reasons).changed(
        lambda place, entry: replace(entry, suspicion=suspicions[place]) if place in suspicions else entry
    )
    if not rules.copies:
        return Cleaned(manifest)
    groups = _copies(manifest, seen)
    conflicts = tuple(group for group in groups if len({manifest.entries[place].labels for place in group}) > 1)
    return Cleaned(_one_of_each(manifest, groups, conflicts), groups, conflicts)


def survey_and_clean(
    manifest: Manifest,
    pool: DecodePool,
    rules: Rules = Rules(),
    *,
    progress: Callable[[int, int, int], None] | None = None,
) -> Cleaned:
    """Look at all photos that were not dropped before, and drop what the rules say.

    ``progress`` is told photos done, failures among them, and all. Raises MissingExtra.
    """
    places = [place for place, entry in enumerate(manifest.entries) if not entry.dropped]
    paths = [manifest.entries[place].path for place in places]
    seen = survey(paths, pool, with_fingerprints=rules.copies, progress=progress)
    looks: list[Look | None] = [None] * len(manifest)
    for place, look in zip(places, seen.looks, strict=True):
        looks[place] = look
    failures = {places[number]: failure for number, failure in seen.failures.items()}
    return clean(manifest, Survey(tuple(looks), failures, seen.fingerprints), rules)


def findings(before: Manifest, after: Manifest) -> list[tuple[str, str]]:
    """The path of each photo that a cleaning of ``before`` dropped or suspects, and why."""
    pairs = zip(before.entries, after.entries, strict=True)
    told = [(found.path, found.dropped or found.suspicion) for entry, found in pairs if found != entry]
    return [(path, words) for path, words in told if words]


def _suspicion(look: Look, rules: Rules) -> str:
    if look.ground >= rules.most_ground:
        return f"no photograph? {look.ground:.0%} are of the border's colour"
    if look.sharpness < rules.least_sharpness:
        return f"blurred? sharpness {look.sharpness:.2f}"
    return ""


def _copies(manifest: Manifest, seen: Survey) -> tuple[tuple[int, ...], ...]:
    """Groups of places of kept photos that show the same, the best of each first, in the order of their first."""
    kept = np.array([not entry.dropped for entry in manifest.entries], bool)
    pairs = [_same_bytes(seen)]
    if seen.fingerprints is not None:
        pairs.append(_alike(seen, seen.fingerprints))
    together = np.concatenate(pairs)
    together = together[kept[together].all(axis=1)]
    groups = defaultdict(list)
    for place, name in enumerate(_components(len(manifest), together)):
        groups[name].append(place)

    def best_first(place: int) -> tuple[int, int]:
        look = seen.looks[place]
        assert look is not None
        return -look.width * look.height, place

    return tuple(tuple(sorted(group, key=best_first)) for group in groups.values() if len(group) > 1)


def _same_bytes(seen: Survey) -> NDArray[np.int64]:
    """Pairs ``[k, 2]`` of places whose files are the same."""
    first: dict[str, int] = {}
    pairs = [
        (first[look.bytes_digest], place)
        for place, look in enumerate(seen.looks)
        if look is not None and first.setdefault(look.bytes_digest, place) != place
    ]
    return np.array(pairs, np.int64).reshape(-1, 2)


def _alike(seen: Survey, fingerprints: Fingerprints) -> NDArray[np.int64]:
    """Pairs ``[k, 2]`` of places whose photos show the same; of equal files the first alone is compared, for a set may
    have thousands of one picture."""
    digests = [look.bytes_digest for look in (seen.looks[place] for place in seen.readable) if look is not None]
    _, first = np.unique(digests, return_index=True)
    first = np.sort(first)
    few = Fingerprints(fingerprints.hashes[first], fingerprints.thumbnails[first])
    found: NDArray[np.int64] = seen.readable[first[find_copies(few)]]
    return found


def _components(count: int, pairs: NDArray[np.int64]) -> NDArray[np.int32]:
    """The number ``[count]`` of the group that each place belongs to, grouped transitively."""
    try:
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components
    except ModuleNotFoundError as error:
        raise MissingExtra('grouping copies needs scipy; install it with: pip install "veduta[dataset]"') from error
    graph = coo_array((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    _, names = connected_components(graph, directed=False)
    found: NDArray[np.int32] = names
    return found


def _one_of_each(
    manifest: Manifest, groups: Sequence[tuple[int, ...]], conflicts: Sequence[tuple[int, ...]]
) -> Manifest:
    best = {place: group[0] for group in groups for place in group}
    together = join_groups([entry.group for entry in manifest.entries], groups)
    elsewhere = {group[0]: _label_names(manifest.entries[place] for place in group) for group in conflicts}

    def change(place: int, entry: Entry) -> Entry:
        entry = replace(entry, group=together[place])
        if place in elsewhere:
            told = f"copies of it lie under {elsewhere[place]}"
            return replace(entry, suspicion="; ".join(filter(None, (entry.suspicion, told))))
        return entry

    return manifest.dropping(
        {place: f"copy: of {_short(manifest.entries[first].path)}" for place, first in best.items() if place != first}
    ).changed(change)


def _short(path: str) -> str:
    """The file and the folder that it lies in."""
    return printable("/".join(Path(path).parts[-2:]))


def _label_names(entries: Iterable[Entry]) -> str:
    return " and ".join(sorted({"|".join(entry.labels) or "no label" for entry in entries}))
