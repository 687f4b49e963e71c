"""``veduta landmarks``: name the famous place, and know when there is none."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from veduta.cli import options as given
from veduta.cli.job import say, stages
from veduta.cli.landmarks_collect import collect
from veduta.cli.landmarks_train import train

if TYPE_CHECKING:
    from rich.table import Table

    from veduta.recognition.landmarks.enrolment import Enrolled
    from veduta.workflows.judge_landmarks import Judged

landmarks = typer.Typer(
    help="Landmarks: enrol them by a few photos, train an embedding, judge it.", no_args_is_help=True
)

Index = Annotated[
    str,
    typer.Option(
        "--index", "-i", help="Name or file of an index of landmarks.", show_default="mine, beside your models"
    ),
]
Model = Annotated[
    str | None,
    typer.Option("--model", "-m", help="The model that gives the embedding.", show_default="the index's; places100"),
]
Others = Annotated[
    list[str] | None,
    typer.Option(
        "--others", help="Photos that show no landmark: file, folder or glob; repeatable.", show_default=False
    ),
]
FalseAlarms = Annotated[
    float,
    typer.Option(help="The share of photos without a landmark that may be told to show one."),
]

landmarks.command()(collect)
landmarks.command()(train)


@landmarks.command()
def enroll(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What it is called.", show_default=False)],
    photos: Annotated[
        list[str],
        typer.Argument(
            metavar="PHOTOS...", help="A handful of photos of it: files, folders, globs.", show_default=False
        ),
    ],
    city: Annotated[str | None, typer.Option(help="Its city: tells two of one name apart.", show_default=False)] = None,
    position: Annotated[
        str | None,
        typer.Option(help="Where it is: LATITUDE,LONGITUDE. Photos taken far away are not of it.", show_default=False),
    ] = None,
    add: Annotated[bool, typer.Option("--add", help="Add photos to a landmark that is there.")] = False,
    thumbnails: Annotated[bool, typer.Option(help="Keep small pictures of the photos, as evidence.")] = True,
    index: Index = "mine",
    model: Model = None,
    quiet: given.Quiet = False,
) -> None:
    """Add a landmark by a handful of photos, without training.

    \b
    veduta landmarks enroll "Clérigos Tower" porto/*.jpg --city Porto
    veduta landmarks enroll "Our barn" barn/ --position 52.52,13.40
    veduta tag holiday/ --landmarks              use it
    """
    from veduta.recognition.landmarks.enrolment import new_landmark
    from veduta.workflows.landmarks import enrol_photos, index_path

    landmark = new_landmark(name, city=city, position=_position(position))
    path = index_path(index)
    with stages(quiet) as watch:
        watch.begin("looking at photos")
        enrolled = enrol_photos(
            path, landmark, photos, model=model, add=add, thumbnails=thumbnails, on_photo=watch.step
        )
    if not quiet:
        _tell_enrolled(enrolled, path)
    if enrolled.failures:
        raise typer.Exit(1)


@landmarks.command()
def remove(
    name: Annotated[str, typer.Argument(metavar="LANDMARK", help="Its id, or its name.", show_default=False)],
    index: Index = "mine",
    quiet: given.Quiet = False,
) -> None:
    """Take a landmark out of an index."""
    from veduta.workflows.landmarks import index_path
    from veduta.workflows.landmarks import remove as take_out

    landmark = take_out(index_path(index), name)
    if not quiet:
        say(f"{landmark.name} ({landmark.id}) is no longer in the index")


@landmarks.command("list")
def list_landmarks(index: Index = "mine") -> None:
    """Tell which landmarks an index has, and how it decides."""
    from rich.table import Table

    from veduta.cli.model_facts import plain_console
    from veduta.images.limits import printable
    from veduta.recognition.landmarks.index import LandmarkIndex
    from veduta.workflows.landmarks import index_path

    path = index_path(index)
    opened = LandmarkIndex.open(path)
    with opened.file as file:
        counts = file.photo_counts()
        table = Table("id", "name", "city", "photos", "vectors", "from similarity", "position")
        ends = [*opened.vectors.starts[1:].tolist(), len(opened.vectors.values)]
        for place, landmark in enumerate(file.landmarks()):
            where = "" if landmark.position is None else f"{landmark.position[0]:.4f}, {landmark.position[1]:.4f}"
            table.add_row(
                printable(landmark.id),
                printable(landmark.name),
                printable(landmark.city or ""),
                f"{counts.get(landmark.id, 0):,}",
                f"{ends[place] - int(opened.vectors.starts[place]):,}",
                f"{float(opened.thresholds.values[place]):.2f}",
                where,
            )
    plain_console().print(table)
    thresholds = opened.thresholds
    chosen = (
        f"chosen for {thresholds.false_alarms:.2%} false alarms on {thresholds.judged_on:,} photos without landmarks"
        if thresholds.judged_on
        else "a guess: choose them by photos without landmarks (veduta landmarks calibrate)"
    )
    say(f"{len(opened):,} landmarks in {path}; embedding of {opened.embedding.model}; thresholds {chosen}")


@landmarks.command()
def export(
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", parser=given.path, metavar="<path>", help="The table: .csv or .json.", show_default=False
        ),
    ],
    index: Index = "mine",
    vectors: Annotated[bool, typer.Option("--vectors", help="Write the reference vectors, too.")] = False,
    quiet: given.Quiet = False,
) -> None:
    """Write the table of landmarks: id, names, city, position, source, threshold."""
    from veduta.workflows.landmarks import export as write
    from veduta.workflows.landmarks import index_path

    count = write(index_path(index), out, vectors=vectors)
    if not quiet:
        say(f"{count:,} landmarks written to {out}")


@landmarks.command()
def calibrate(
    others: Annotated[
        list[str],
        typer.Argument(metavar="PHOTOS...", help="Photos that show no landmark.", show_default=False),
    ],
    false_alarms: Annotated[
        float | None,
        typer.Option(
            help="The share of photos without a landmark that may be told to show one.",
            show_default="as before, 0.01 at first",
        ),
    ] = None,
    index: Index = "mine",
    model: Model = None,
    quiet: given.Quiet = False,
) -> None:
    """Choose the thresholds of an index by photos that show none of its landmarks."""
    from veduta.workflows import landmarks as work

    with stages(quiet) as watch:
        watch.begin("looking at photos")
        opened = work.calibrate(
            work.index_path(index),
            others,
            false_alarms=false_alarms,
            model=model,
            on_photo=watch.step,
            on_failure=lambda failure: watch.note(failure.message),
        )
    thresholds = opened.thresholds
    opened.close()
    if not quiet:
        say(
            f"thresholds from {thresholds.values.min(initial=1):.2f} to {thresholds.values.max(initial=0):.2f}, by "
            f"{thresholds.judged_on:,} photos without landmarks"
        )
        if not thresholds.calibrated:
            say(
                f"{thresholds.judged_on:,} photos are too few for {thresholds.false_alarms:.2%} false alarms; "
                f"{max(30, round(1 / thresholds.false_alarms)):,} or more would tell"
            )


@landmarks.command()
def evaluate(
    photos: Annotated[
        Path,
        typer.Argument(
            parser=given.path,
            metavar="PHOTOS",
            help="A folder for each landmark, or a manifest with test photos; photos that the index has not seen.",
            show_default=False,
        ),
    ],
    others: Others = None,
    preset: Annotated[
        str, typer.Option(help="cloud: landmarks among others. search: up to ten photos of each, means by landmark.")
    ] = "cloud",
    people: Annotated[
        Path | None,
        typer.Option(
            parser=given.path,
            metavar="<path>",
            help="Cut-out people to paste in: judged with them, too.",
            show_default=False,
        ),
    ] = None,
    few: Annotated[
        list[str] | None,
        typer.Option(
            "--few", help="Judge this landmark as enrolled from 1, 3 and 5 photos; repeatable.", show_default=False
        ),
    ] = None,
    index: Index = "mine",
    model: Model = None,
    json_file: Annotated[
        Path | None,
        typer.Option(
            "--json", parser=given.path, metavar="<path>", help="Write all figures as JSON.", show_default=False
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Draws photos and people.")] = 0,
    quiet: given.Quiet = False,
) -> None:
    """Tell how many landmarks are found, and how many photos without one are refused.

    \b
    veduta landmarks evaluate test/ --others holiday/ --index runs/mine/index.landmarks
    veduta landmarks evaluate test/ --preset search --json figures.json
    """
    from veduta.errors import UsageError
    from veduta.recognition.landmarks.index import LandmarkIndex
    from veduta.training.people import People
    from veduta.whole_file import write_whole
    from veduta.workflows.judge_landmarks import judge
    from veduta.workflows.landmarks import embedder_of, index_path

    if preset not in ("cloud", "search"):
        raise UsageError(f"the preset {preset!r} is not known; give cloud or search.")
    opened = LandmarkIndex.open(index_path(index))
    with opened.file, stages(quiet) as watch:
        watch.begin("looking at photos")
        judged = judge(
            opened,
            embedder_of(opened.file, model),
            photos,
            others or [],
            preset="search" if preset == "search" else "cloud",
            people=None if people is None else People.read(people),
            few=few or (),
            seed=seed,
            on_photo=watch.step,
        )
    if json_file is not None:
        write_whole(json_file, json.dumps(judged.values(), indent=1).encode())
    if not quiet:
        _tell_judged(judged)


def _position(text: str | None) -> tuple[float, float] | None:
    from veduta.errors import UsageError

    if text is None:
        return None
    try:
        latitude, longitude = (float(part) for part in text.split(","))
    except ValueError as error:
        raise UsageError(f"--position {text!r} can't be meant; write degrees: 48.8584,2.2945.") from error
    return latitude, longitude


def _tell_enrolled(enrolled: Enrolled, path: Path) -> None:
    landmark = enrolled.landmark
    say(f"{landmark.name} ({landmark.id}) is in {path}, by {enrolled.photos} photo{'s' * (enrolled.photos != 1)}")
    if enrolled.copies:
        say(f"{enrolled.copies} more had the content of another, and count once")
    for failure in enrolled.failures:
        say(failure.message)
    if enrolled.found_again is None:
        say("one photo alone says little; three to five from different sides are better")
    else:
        say(f"left out in turn, {enrolled.found_again} of {enrolled.photos} photos are found again")
    for each in enrolled.collisions:
        say(
            f"{each.photos} of its photos resemble {each.landmark.name} as well, by up to {each.similarity:.2f}: the "
            "two may be taken for each other"
        )


def _tell_judged(judged: Judged) -> None:
    from veduta.cli.model_facts import plain_console

    values = judged.values()
    columns = {"photos as they are": values["photos"]}
    if "with_people" in values:
        columns["people over 20 to 40 %"] = values["with_people"]
    plain_console().print(_table_of(columns))
    if "enrolled_from" in values:
        few = values["enrolled_from"].items()
        plain_console().print(_table_of({f"enrolled from {shots}": figures for shots, figures in few}))
    if judged.unreadable:
        print(f"{judged.unreadable:,} photos can't be read and were left out", file=sys.stderr)


_SHARES = {
    "landmarks right": "landmarks",
    "others refused": "others",
    "right at 1 % false alarms": "landmarks_at_0.01",
    "right at 0.1 %": "landmarks_at_0.001",
    "right, were all landmarks": "closed_set",
}


def _table_of(columns: dict[str, dict[str, Any]]) -> Table:
    """Figures by rows, each with its interval below it, so that the table fits a terminal of 80 letters."""
    from rich.table import Table

    table = Table("", *columns)
    for name, key in _SHARES.items():
        if any(key in figures for figures in columns.values()):
            table.add_row(name, *(_share(figures.get(key)) for figures in columns.values()))
    table.add_row("GAP", *(f"{figures['gap']:.3f}" for figures in columns.values()))
    for key in ("precision", "recall"):
        means = [figures["by_landmark"] for figures in columns.values()]
        table.add_row(f"{key} by landmark", *(f"{each[key]:.1%} of {each['landmarks']}" for each in means))
    return table


def _share(values: dict[str, Any] | None) -> str:
    if values is None:
        return ""
    lower, upper = values["interval"]
    return f"{values['value']:.1%} of {values['count']:,}\n({lower:.1%} to {upper:.1%})"
