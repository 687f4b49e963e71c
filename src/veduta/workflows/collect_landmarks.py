"""From a list of cities to photos of their landmarks: find the places, fetch photos of each, clean them.

out/
    cities/<city>.json   the places of a city, as the providers told them
    landmarks.csv        the table of landmarks
    photos/<label>/      their photos, and the passport of where each comes from
    photos.csv           the manifest: what is kept, and why not the others

Stopped at any moment, the same call goes on: a city that was asked is not asked again, nor is a photo fetched twice.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from veduta.datasets.clean import Rules, clean
from veduta.datasets.collect import PASSPORT, Name, collect
from veduta.datasets.landmark_table import write_landmark_table
from veduta.datasets.manifest import Entry, Manifest, write_manifest
from veduta.datasets.passport import Passport
from veduta.datasets.places.place import City, Place, PlacesProvider, Wish
from veduta.datasets.places.wikidata import Wikidata
from veduta.datasets.search.found import Provider
from veduta.datasets.search.licences import Licences
from veduta.datasets.survey import survey
from veduta.errors import FetchError, SearchError, UsageError
from veduta.images.fetch import Fetcher
from veduta.images.limits import printable
from veduta.images.pool import DecodePool
from veduta.models.threads import available_threads
from veduta.recognition.landmarks.enrolment import plain_id
from veduta.records import Landmark
from veduta.whole_file import write_whole
from veduta.workflows.watch import Watch

TABLE, MANIFEST, PHOTOS = "landmarks.csv", "photos.csv", "photos"


@dataclass(frozen=True, slots=True)
class Search:
    """Whom to ask for what: ``places`` for landmarks, which ``wish`` chooses from, and ``photos`` for ``per_landmark``
    photos of each under ``licences``. ``fame`` tells how famous what a map knows is, None believes the map.
    """

    places: tuple[PlacesProvider, ...]
    photos: tuple[Provider, ...]
    wish: Wish = field(default_factory=Wish)
    licences: Licences = field(default_factory=Licences)
    per_landmark: int = 20
    least_side: int = 160
    fame: Wikidata | None = None


@dataclass(frozen=True, slots=True)
class Collected:
    """How many ``landmarks`` of ``cities`` have photos, ``photos`` in all after cleaning; ``failed`` names cities that
    no provider could tell of, and why.
    """

    cities: int
    landmarks: int
    photos: int
    failed: dict[str, str]


def collect_landmarks(cities: Sequence[City], search: Search, out: Path, fetcher: Fetcher, watch: Watch) -> Collected:
    """Fill ``out``. A city that can't be asked is told and passed over; the same call asks it again.

    Raises UsageError where no city has a landmark, SearchError where no provider of photos can be asked, OutputError.
    """
    failed: dict[str, str] = {}
    places: list[Place] = []
    for number, city in enumerate(cities, 1):
        watch.begin(f"finding landmarks of {city.name} ({number} of {len(cities)})")
        try:
            found = _places_of(city, search, out, fetcher, watch)
        except (SearchError, FetchError) as error:
            failed[city.name] = str(error)
            watch.note(f"{city.name}: {error}")
            continue
        places += search.wish.chosen(found)
        watch.note(f"{city.name}: {len(found):,} places, {len(search.wish.chosen(found)):,} of them wanted")
    if not places:
        raise UsageError("no city has a landmark that is famous enough; lower the fame, or name other cities.")
    labelled = labels_of(places)
    write_landmark_table(
        out / TABLE, [(label, _landmark(label, each), each.kind, each.fame) for label, each in labelled]
    )
    manifest = _photos_of(labelled, search, out, fetcher, watch)
    write_manifest(out / MANIFEST, manifest)
    kept = list(manifest.kept)
    return Collected(len(cities) - len(failed), len({entry.labels[0] for entry in kept}), len(kept), failed)


def labels_of(places: Sequence[Place]) -> list[tuple[str, Place]]:
    """A label for each: its plain name, with its city's where two have one, and a number where that is not enough."""
    names = [plain_id(place.name) for place in places]
    taken: set[str] = set()
    labelled = []
    for name, place in zip(names, places, strict=True):
        label = name if names.count(name) == 1 else f"{name}--{plain_id(place.city)}"
        number = 1
        while (label if number == 1 else f"{label}-{number}") in taken:
            number += 1
        whole = label if number == 1 else f"{label}-{number}"
        taken.add(whole)
        labelled.append((whole, place))
    return labelled


def _landmark(label: str, place: Place) -> Landmark:
    return Landmark(
        label.replace("--", "/"), place.name, place.city, place.position, place.names, place.wikidata or place.source
    )


def _places_of(city: City, search: Search, out: Path, fetcher: Fetcher, watch: Watch) -> list[Place]:
    """As they were told before, else asked for; of several providers one that fails is told and left out."""
    asked = {"city": asdict(city), "providers": [str(provider) for provider in search.places], "fame": str(search.fame)}
    # As plain values, as JSON gives them back.
    asked = json.loads(json.dumps(asked))
    file = out / "cities" / f"{plain_id(city.name)}.json"
    try:
        known = json.loads(file.read_bytes())
        if known["asked"] == asked:
            return [_place(each) for each in known["places"]]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass  # not asked yet, or damaged: asked anew
    found: list[Place] = []
    failures: list[SearchError | FetchError] = []
    for provider in search.places:
        try:
            some = provider.places(city, fetcher)
            if search.fame is not None and provider.name == "overpass":
                some = search.fame.with_fame(some, fetcher)
        except (SearchError, FetchError) as error:
            failures.append(error)
            watch.note(f"{provider.name}: {error}")
            continue
        found += some
    if failures and len(failures) == len(search.places):
        raise failures[0]
    if not failures:
        told = {"asked": asked, "places": [asdict(place) for place in found]}
        write_whole(file, json.dumps(told, ensure_ascii=False, indent=1).encode("utf-8", "backslashreplace"))
    return found


def _place(told: dict[str, object]) -> Place:
    names, position = told.pop("names"), told.pop("position")
    place = Place(names=tuple((str(a), str(b)) for a, b in names), position=tuple(position), **told)  # type: ignore
    if not (isinstance(place.name, str) and isinstance(place.fame, int) and len(place.position) == 2):
        raise TypeError("no place")
    return place


def _photos_of(
    labelled: Sequence[tuple[str, Place]], search: Search, out: Path, fetcher: Fetcher, watch: Watch
) -> Manifest:
    files: list[tuple[str, str]] = []
    photos = out / PHOTOS
    with Passport(photos / PASSPORT) as passport:
        for number, (label, place) in enumerate(labelled, 1):
            watch.begin(f"fetching photos of {place.name} ({number} of {len(labelled)})")
            queries = tuple(dict.fromkeys((f"{place.name} {place.city}", place.name)))
            there = collect(
                Name(label, queries),
                search.photos,
                search.licences,
                photos,
                passport,
                fetcher,
                photos=search.per_landmark,
                note=watch.note,
                on_photo=watch.step,
            )
            if not there.photos:
                watch.note(f"no photo of {printable(place.name)} was found; it has none in the manifest")
            files += [(label, str(photos / visa.file)) for visa in there.visas]
        write_whole(photos / "passport.csv", passport.table())
    watch.begin("looking at the photos")
    with DecodePool(available_threads()) as pool:
        seen = survey([path for _, path in files], pool, progress=lambda done, _failed, count: watch.step(done, count))
    before = Manifest("single_label", tuple(Entry(path, (label,)) for label, path in files))
    manifest = clean(before, seen, Rules(search.least_side)).manifest
    return manifest.dropping(
        {
            place: f"drawing: {entry.suspicion}"
            for place, entry in enumerate(manifest.entries)
            if not entry.dropped and entry.suspicion.startswith("no photograph?")
        }
    )
