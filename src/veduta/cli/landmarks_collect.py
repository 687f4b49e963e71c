"""``veduta landmarks collect``: from a list of cities to photos of their landmarks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from veduta.cli import options as given
from veduta.cli.job import say, stages

if TYPE_CHECKING:
    from veduta.datasets.places.place import PlacesProvider


def collect(
    cities: Annotated[
        Path,
        typer.Option(
            "--cities",
            "-c",
            parser=given.path,
            metavar="<path>",
            help="A text file, a city on each line: Porto, or Porto; 41.15; -8.61 with its middle, in degrees.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", parser=given.path, metavar="<path>", help="The folder to fill.", show_default=False
        ),
    ],
    places: Annotated[
        list[str] | None,
        typer.Option(help="Ask for places: overpass, wikidata, google. Repeatable.", show_default="overpass, wikidata"),
    ] = None,
    google_key: Annotated[
        str | None, typer.Option(envvar="GOOGLE_PLACES_KEY", help="Your key for google.", show_default=False)
    ] = None,
    provider: Annotated[
        list[str] | None,
        typer.Option(
            help="Ask for photos: openverse, wikimedia, flickr, or a folder with a folder for each. Repeatable.",
            show_default="openverse, wikimedia",
        ),
    ] = None,
    flickr_key: Annotated[
        str | None, typer.Option(envvar="FLICKR_KEY", help="Your key for flickr.", show_default=False)
    ] = None,
    licence: Annotated[
        str, typer.Option("--licence", "--license", help="free, commercial, creative-commons, any, or codes.")
    ] = "any",
    per_landmark: Annotated[int, typer.Option(min=1, help="Photos of each landmark.")] = 20,
    most: Annotated[int, typer.Option(min=1, help="Landmarks of a city, the most famous ones.")] = 30,
    least_fame: Annotated[
        int, typer.Option(min=0, help="Articles about it in Wikipedias and their like; ratings, with google.")
    ] = 5,
    without_kind: Annotated[
        list[str] | None,
        typer.Option(help="Leave out places of a kind with this word, such as hotel; repeatable.", show_default=False),
    ] = None,
    without_name: Annotated[
        list[str] | None,
        typer.Option(help="Leave out places with this word in their name; repeatable.", show_default=False),
    ] = None,
    min_side: Annotated[int, typer.Option(min=0, help="Photos whose shorter side has fewer pixels go.")] = 160,
    rate: Annotated[float, typer.Option(help="Requests a second to each host.")] = 1.0,
    quiet: given.Quiet = False,
) -> None:
    """Find the landmarks of cities, and fetch photos of each.

    \b
    veduta landmarks collect --cities cities.txt --out landmarks/
    veduta landmarks train landmarks/photos.csv --table landmarks/landmarks.csv --others scenes/ --out runs/lm

    Stopped at any moment, the same command goes on. Where each photo comes from, and under which licence, is in
    photos/passport.csv. Needs the extra classify.
    """
    from veduta.cli.classify import provider_named
    from veduta.datasets.duplicates import check_libraries
    from veduta.datasets.places.place import Wish, read_cities
    from veduta.datasets.places.wikidata import Wikidata
    from veduta.datasets.search.licences import Licences
    from veduta.workflows.classify import fetcher_for
    from veduta.workflows.collect_landmarks import Search, collect_landmarks

    check_libraries()
    search = Search(
        tuple(_places(each, google_key) for each in places or ["overpass", "wikidata"]),
        tuple(provider_named(each, flickr_key, quiet) for each in provider or ["openverse", "wikimedia"]),
        Wish(least_fame, most, tuple(without_kind or ()), tuple(without_name or ())),
        Licences.read(licence),
        per_landmark,
        min_side,
        Wikidata(),
    )
    with stages(quiet) as watch, fetcher_for(rate) as fetcher:
        done = collect_landmarks(read_cities(cities), search, out, fetcher, watch)
    if not quiet:
        say(f"{done.photos:,} photos of {done.landmarks:,} landmarks of {done.cities:,} cities are in {out}")
    if done.failed:
        say(f"{len(done.failed):,} cities could not be asked: {', '.join(done.failed)}; the same command asks again")
        raise typer.Exit(1)


def _places(name: str, google_key: str | None) -> PlacesProvider:
    from veduta.datasets.places.google_places import GooglePlaces
    from veduta.datasets.places.overpass import Overpass
    from veduta.datasets.places.wikidata import Wikidata
    from veduta.errors import UsageError

    match name:
        case "overpass":
            return Overpass()
        case "wikidata":
            return Wikidata()
        case "google":
            if not google_key:
                raise UsageError("google needs a key of yours: --google-key, or GOOGLE_PLACES_KEY in the environment.")
            return GooglePlaces(google_key)
    raise UsageError(f"--places {name} is unknown; give overpass, wikidata or google.")
