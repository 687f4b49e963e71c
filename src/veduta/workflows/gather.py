"""From names to a clean set of photos: find, fetch, look at each, ask the photos about each other, balance."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from veduta.datasets.clean import Cleaned, Rules, clean
from veduta.datasets.collect import Name, collect
from veduta.datasets.forgotten import Forgotten
from veduta.datasets.jpegs import write_jpegs
from veduta.datasets.manifest import Entry, Manifest, read_manifest, write_manifest
from veduta.datasets.passport import Visa
from veduta.datasets.search.found import Provider
from veduta.datasets.search.licences import Licences
from veduta.datasets.select import balance
from veduta.datasets.survey import Survey, survey
from veduta.errors import UsageError
from veduta.images.fetch import Fetcher
from veduta.images.limits import printable
from veduta.images.pool import DecodePool
from veduta.models.threads import available_threads
from veduta.reports.dataset import contact_sheet
from veduta.whole_file import write_whole
from veduta.workflows.collection import Collection, collections_home
from veduta.workflows.watch import Watch

#: With fewer photos of a class left, nothing is learnt.
FEWEST = 10


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to look for: ``names`` at ``providers``, under ``licences``, ``per_class`` photos of each.

    Photos whose short side is under ``least_side`` pixels are left out. ``ratio`` is how many times the photos of the
    smallest class the largest may have, None for any; ``disown`` asks the photos about each other; drawings and logos
    go where ``photographs`` is true.
    """

    names: tuple[Name, ...]
    providers: tuple[Provider, ...]
    licences: Licences = field(default_factory=Licences)
    per_class: int = 600
    least_side: int = 160
    ratio: float | None = 1.0
    disown: bool = True
    photographs: bool = True
    seed: int = 0

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes, as they were asked for."""
        return tuple(name.label for name in self.names)

    @property
    def searched(self) -> dict[str, object]:
        """What the photos that are found depend on."""
        return {
            "names": [(name.label, name.queries) for name in self.names],
            "providers": [str(provider) for provider in self.providers],
            "licences": sorted(self.licences.codes),
            "per class": self.per_class,
        }

    @property
    def cleaned(self) -> dict[str, object]:
        """What cleaning depends on beside the photos."""
        return {
            "least side": self.least_side,
            "ratio": self.ratio,
            "disown": self.disown,
            "photographs": self.photographs,
            "seed": self.seed,
        }


@dataclass(frozen=True, slots=True)
class Opinions:
    """What photos say about each other, by place: why a kept one is disowned, and how probable its label is to the
    others.
    """

    disowned: dict[int, str]
    owned: dict[int, float]


#: Asks the kept photos of a manifest about each other.
Disown = Callable[[Manifest], Opinions]


def gather(
    wanted: Wanted, collection: Collection, fetcher: Fetcher, disown: Disown, learning: object, watch: Watch
) -> Manifest:
    """The set of the collection: fetched, cleaned, balanced, and written to ``collection.manifest``.

    What is done already is not done again. ``learning`` tells what ``disown`` depends on. Raises UsageError where a
    class has too few photos left, SearchError where no provider can be asked, OutputError, MissingExtra.
    """
    found = _find(wanted, collection, fetcher, watch)
    depends_on = [_of_files(found), wanted.cleaned, learning]
    if collection.is_done("clean", depends_on) and collection.manifest.is_file():
        return read_manifest(collection.manifest)
    manifest = _clean(wanted, collection, found, disown, watch)
    _check_enough(wanted, manifest, collection)
    write_manifest(collection.manifest, manifest)
    collection.mark_done("clean", depends_on)
    return manifest


def _find(wanted: Wanted, collection: Collection, fetcher: Fetcher, watch: Watch) -> list[Visa]:
    """A visa for each photo of all classes, in order; what is missing is searched for and fetched."""
    forgotten = Forgotten.read(collections_home())
    depends_on = [wanted.searched, forgotten.digest]
    known = collection.folder / "found.csv"
    with collection.passport() as passport:
        if collection.is_done("find", depends_on) and known.is_file():
            # A file that somebody changed or removed since is only not learnt from.
            return [visa for visa in _listed(known, passport.visa) if (collection.photos / visa.file).is_file()]
        found: list[Visa] = []
        for number, name in enumerate(wanted.names, 1):
            watch.begin(f"finding photos of {name.label} ({number} of {len(wanted.names)})")
            there = collect(
                name,
                wanted.providers,
                wanted.licences,
                collection.photos,
                passport,
                fetcher,
                photos=wanted.per_class,
                unwanted=forgotten.__contains__,
                note=watch.note,
                on_photo=watch.step,
            )
            missed = f", {there.failures:,} more could not be had" if there.failures else ""
            watch.note(f"{name.label}: {there.photos:,} photos of {wanted.per_class:,}{missed}")
            found += there.visas
    counts = Counter(visa.label for visa in found)
    _check_counts(wanted, {label: counts[label] for label in wanted.labels}, "found", collection)
    _write_list(known, found)
    collection.mark_done("find", depends_on)
    return found


def _listed(file: Path, visa: Callable[[str, str], Visa | None]) -> Iterator[Visa]:
    with file.open(encoding="utf-8", newline="") as text:
        for row in csv.reader(text):
            found = visa(row[0], row[1]) if len(row) == 2 else None
            if found is not None and not found.failure:
                yield found


def _write_list(file: Path, visas: Sequence[Visa]) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows((visa.label, visa.photo.place) for visa in visas)
    write_whole(file, text.getvalue().encode("utf-8", "backslashreplace"))


def _of_files(found: Sequence[Visa]) -> list[tuple[str, str]]:
    return [(visa.file, visa.sha256) for visa in found]


def _clean(wanted: Wanted, collection: Collection, found: Sequence[Visa], disown: Disown, watch: Watch) -> Manifest:
    watch.begin("looking at the photos")
    originals = [str(collection.photos / visa.file) for visa in found]
    with DecodePool(available_threads()) as pool:
        seen = survey(originals, pool, progress=lambda done, _failed, count: watch.step(done, count))
        before = Manifest(
            "single_label", tuple(Entry(path, (visa.label,)) for path, visa in zip(originals, found, strict=True))
        )
        cleaned = clean(before, seen, Rules(wanted.least_side))
        manifest = _one_of_each_label(cleaned)
        if wanted.photographs:
            manifest = _without_drawings(manifest)
        watch.begin("writing them as JPEG")
        manifest = _as_jpegs(manifest, collection, pool, watch)
        opinions = Opinions({}, {})
        if wanted.disown:
            watch.begin("asking the photos about each other")
            opinions = disown(manifest)
        manifest = _without_ambiguous(manifest.dropping(opinions.disowned), cleaned, opinions)
        if wanted.ratio is not None:
            manifest = balance(manifest, ratio=wanted.ratio, seed=wanted.seed)
        dropped = [(each.path, each.dropped) for each in manifest.entries if each.dropped and not _is_balance(each)]
        if dropped:
            write_whole(collection.folder / "dropped.jpg", contact_sheet(dropped, pool))
    _tell(manifest, collection, watch)
    _stamp(collection, found, manifest, seen)
    return manifest


def _one_of_each_label(cleaned: Cleaned) -> Manifest:
    """A photo that was found under several names stays under each: the others will say which is wrong."""
    best = {place for group in cleaned.conflicts for place in _best_of_labels(cleaned.manifest, group)}
    return cleaned.manifest.changed(
        lambda place, entry: (
            replace(entry, dropped="") if place in best and entry.dropped.startswith("copy:") else entry
        )
    )


def _best_of_labels(manifest: Manifest, group: Sequence[int]) -> list[int]:
    """The first place of each label; copies come the best first."""
    first: dict[tuple[str, ...], int] = {}
    for place in group:
        first.setdefault(manifest.entries[place].labels, place)
    return list(first.values())


def _without_ambiguous(manifest: Manifest, cleaned: Cleaned, opinions: Opinions) -> Manifest:
    """What is still there under several names stays where the others rather expect it than not, else nowhere."""
    reasons: dict[int, str] = {}
    for group in cleaned.conflicts:
        kept = [place for place in group if not manifest.entries[place].dropped]
        if len(kept) > 1:
            found_as = " and as ".join(manifest.entries[place].labels[0] for place in kept)
            unsure = [place for place in kept if opinions.owned.get(place, 0.0) <= 0.5]
            reasons |= dict.fromkeys(unsure, f"ambiguous: found as {found_as}")
    return manifest.dropping(reasons)


def _without_drawings(manifest: Manifest) -> Manifest:
    """What a survey suspects to be no photograph is none that somebody looked for."""
    return manifest.dropping(
        {
            place: f"drawing: {entry.suspicion}"
            for place, entry in enumerate(manifest.entries)
            if entry.suspicion.startswith("no photograph?")
        }
    )


def _as_jpegs(manifest: Manifest, collection: Collection, pool: DecodePool, watch: Watch) -> Manifest:
    """The manifest of the JPEGs; dropped photos stay where they were fetched to."""
    kept = [place for place, entry in enumerate(manifest.entries) if not entry.dropped]
    sources = [Path(manifest.entries[place].path) for place in kept]
    targets = [collection.jpegs / source.parent.name / f"{source.stem}.jpg" for source in sources]
    failures = write_jpegs(list(zip(sources, targets, strict=True)), pool, on_photo=watch.step)
    paths = {place: str(target) for place, target in zip(kept, targets, strict=True)}
    manifest = manifest.dropping({kept[number]: f"unreadable: {words}" for number, words in failures.items()})
    return manifest.changed(lambda place, entry: entry if entry.dropped else replace(entry, path=paths[place]))


def _stamp(collection: Collection, found: Sequence[Visa], manifest: Manifest, seen: Survey) -> None:
    """What cleaning says, into the passport."""
    hashes = ["" for _ in found]
    if seen.fingerprints is not None:
        for row, place in enumerate(seen.readable):
            hashes[place] = bytes(seen.fingerprints.hashes[row, 0]).hex()
    with collection.passport() as passport:
        asked_for = {visa.file for visa in found}
        others = [visa for visa in passport if visa.file and visa.file not in asked_for]
        passport.add(replace(visa, dropped="search: not among those that were asked for") for visa in others)
        passport.add(
            replace(visa, hash=hashed, dropped=entry.dropped)
            for visa, hashed, entry in zip(found, hashes, manifest.entries, strict=True)
        )


def _is_balance(entry: Entry) -> bool:
    return entry.dropped.startswith("balance:")


def _tell(manifest: Manifest, collection: Collection, watch: Watch) -> None:
    reasons = Counter(entry.dropped.partition(":")[0] for entry in manifest.entries if entry.dropped)
    told = ", ".join(f"{count:,} {reason}" for reason, count in reasons.most_common())
    if told:
        watch.note(f"dropped: {told}; {collection.manifest} says why of each")


def _check_enough(wanted: Wanted, manifest: Manifest, collection: Collection) -> None:
    counts = manifest.counts()
    _check_counts(wanted, {label: counts.get(label, 0) for label in wanted.labels}, "left after cleaning", collection)


def _check_counts(wanted: Wanted, counts: dict[str, int], what: str, collection: Collection) -> None:
    few = {label: count for label, count in counts.items() if count < FEWEST}
    if few:
        told = ", ".join(f"{count} of {printable(label)}" for label, count in few.items())
        named = printable(next(iter(few)))
        raise UsageError(
            f"too few photos are {what}: {told}, and a class takes {FEWEST} or more. Give other words for it "
            f'(--query "{named}=..."), another provider or more licences; what was fetched stays in '
            f"{collection.folder}."
        )
