"""``veduta compare``: which training suits my photos, or which of these models is best."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from veduta.cli import exits
from veduta.cli import options as given
from veduta.cli.job import messages, say
from veduta.errors import UsageError
from veduta.images.limits import printable

if TYPE_CHECKING:
    from veduta.evaluation.comparison import Comparison, Missing, Outcome
    from veduta.workflows.compare import Watch
    from veduta.workflows.grid import Grid


def compare(
    data: Annotated[
        Path | None,
        typer.Argument(
            parser=given.path,
            metavar="DATA",
            help="What to train on, as for veduta train; none where finished models are compared.",
            show_default=False,
        ),
    ] = None,
    *,
    out: Annotated[
        Path,
        typer.Option("--out", "-o", parser=given.path, metavar="<path>", help="The folder for all that comes out."),
    ],
    arch: Annotated[
        list[str] | None,
        typer.Option("--arch", metavar="NAMES", help="Architectures, parted by commas.", show_default=False),
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(
            metavar="PIXELS", help="Sides of the square that networks look at, parted by commas.", show_default="128"
        ),
    ] = None,
    recipe: Annotated[
        list[str] | None,
        typer.Option(
            "--recipe",
            metavar="NAMES",
            help="Of scratch, transfer, finetune, parted by commas; ARCH=NAMES for one architecture. Repeatable.",
            show_default="transfer,finetune",
        ),
    ] = None,
    weights: Annotated[
        list[str] | None,
        typer.Option(
            "--weights",
            metavar="ARCH=SOURCE",
            help="What an architecture starts from: a weights file, a model, hub or hub:NAME; hub alone is for all. "
            "Repeatable.",
            show_default=False,
        ),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model", "-m", metavar="NAME", help="A finished model, by name or folder. Repeatable.", show_default=False
        ),
    ] = None,
    test: Annotated[
        list[Path] | None,
        typer.Option(
            "--test",
            parser=given.path,
            metavar="<path>",
            help="What to judge on: class folders, a table or a manifest. Repeatable for finished models; for "
            "trainings instead of a part of DATA.",
            show_default=False,
        ),
    ] = None,
    baseline: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="What the others are compared with: a model, or mobilenet_v2-128-transfer.",
            show_default="the best",
        ),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="finetune: epochs at the most.", show_default="the recipe's")
    ] = None,
    scratch_epochs: Annotated[
        int | None, typer.Option(min=1, help="scratch: epochs at the most.", show_default="the recipe's")
    ] = None,
    patience: Annotated[
        int | None,
        typer.Option(
            min=0, help="finetune: stop after so many epochs without a better one.", show_default="the recipe's"
        ),
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(min=2, help="scratch, finetune: photos in a step.", show_default="the recipe's")
    ] = None,
    views: Annotated[
        int | None, typer.Option(min=0, help="transfer: changed views of each photo.", show_default="the recipe's")
    ] = None,
    validation: Annotated[
        float | None,
        typer.Option(
            min=0.01,
            max=0.9,
            help="scratch, finetune: share held out to choose the epoch.",
            show_default="the recipe's",
        ),
    ] = None,
    test_share: Annotated[
        float | None,
        typer.Option(
            min=0.01, max=0.9, help="Share of each class for testing, where DATA has no splits.", show_default="0.2"
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Draws the test part and all that trainings draw.", show_default="0")
    ] = None,
    precision: Annotated[
        str | None, typer.Option(help="scratch, finetune: float32 or bfloat16.", show_default="float32")
    ] = None,
    threads: given.Threads = None,
    quiet: given.Quiet = False,
) -> None:
    """Compare trainings on your photos, or finished models: accuracy, time and size, on the same photos (extra train).

    \b
    veduta compare photos/ -o cmp/ --arch resnet18,vgg16 --size 128,224 --weights hub
    veduta compare photos/ -o cmp/ --arch small_cnn --recipe scratch
    veduta compare -m runs/a/bundle -m places100 --test sun27/ --test val/ -o cmp/

    Every architecture is trained at every size by every recipe, and judged on photos that no training saw. The folder
    gets a page, a plot with intervals, and the table as CSV, JSON and Markdown. Stopped at any moment, the same command
    goes on; another setting does only its own trainings anew.
    """
    from veduta.workflows.compare import compare_models, compare_trainings
    from veduta.workflows.grid import Settings

    tests = test or []
    if (data is None) != bool(model) or (data is None and not tests):
        raise UsageError(
            "give DATA to train on, with --arch, or finished models with --model and what to judge them on with --test."
        )
    if data is not None and len(tests) > 1:
        raise UsageError("trainings are judged on one set; give --test once.")
    of_trainings: dict[str, Any] = {
        "epochs": epochs, "scratch_epochs": scratch_epochs, "patience": patience, "batch_size": batch_size,
        "views": views, "validation": validation, "test": test_share, "seed": seed, "precision": precision,
    }  # fmt: skip
    asked = {name: value for name, value in of_trainings.items() if value is not None}
    if data is None and (asked or arch or size or recipe or weights):
        raise UsageError("finished models are not trained; leave all options of trainings out.")
    with _shown(quiet) as watch:
        if data is not None:
            grid = _grid(arch or [], size or "128", recipe or [], weights or [])
            settings, on = Settings(**asked, threads=threads), tests[0] if tests else None
            found = compare_trainings(data, out, grid, settings, test=on, baseline=baseline, watch=watch)
        else:
            found = compare_models(model or [], tests, out, baseline=baseline, threads=threads, watch=watch)
    _tell(found, out, quiet)
    if found.missing or any(row.outcome.failures for row in found.rows):
        sys.exit(exits.SOME_PHOTOS_FAILED)


def _grid(arch: list[str], size: str, recipe: list[str], weights: list[str]) -> Grid:
    """What was asked for, out of its commas and equals signs."""
    from veduta.workflows.grid import Grid

    architectures = tuple(name for each in arch for name in _parts(each))
    try:
        sizes = tuple(int(each) for each in _parts(size))
    except ValueError as error:
        raise UsageError(f"--size {size} can't be meant; give pixels parted by commas, such as 128,224.") from error
    recipes: list[str] = []
    own: dict[str, tuple[str, ...]] = {}
    for each in recipe:
        name, equals, names = each.rpartition("=")
        if equals:
            own[name] = tuple(_parts(names))
        else:
            recipes += _parts(names)
    starts = {}
    for each in weights:
        name, equals, source = each.partition("=")
        if equals and name and source:
            starts[name] = source
        elif each == "hub":
            starts = dict.fromkeys(architectures, each) | starts
        else:
            raise UsageError(f"--weights {each} can't be meant; write it as in mobilenet_v2=weights.safetensors.")
    return Grid(architectures, sizes, tuple(recipes) or ("transfer", "finetune"), own, starts)


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


@contextmanager
def _shown(quiet: bool) -> Iterator[Watch]:
    """A bar of all work with the time left, one of what is done now, and a line for each outcome."""
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    from veduta.workflows.compare import Watch

    if quiet:
        yield Watch()
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    # What an hour brought tells the time left of all better than the last half minute.
    with Progress(
        *columns, console=messages, transient=True, disable=not messages.is_terminal, speed_estimate_period=3600
    ) as bar:
        everything = bar.add_task("checking", total=1.0)
        now = bar.add_task("", total=None, visible=False)
        stage = ""

        def begin(name: str, number: int, count: int) -> None:
            bar.update(everything, description=f"{printable(name)}, {number} of {count}")
            if not messages.is_terminal:
                say(f"{name}, {number} of {count}")

        def within(words: str, done: int, total: int) -> None:
            nonlocal stage
            if words.partition(",")[0] != stage:
                stage = words.partition(",")[0]
                bar.reset(now, visible=True)
            bar.update(now, description=printable(words), completed=done, total=total)

        yield Watch(
            begin,
            lambda share: bar.update(everything, completed=share),
            within,
            lambda outcome: say(_outcome_words(outcome)),
            lambda missing: say(_missing_words(missing)),
            say,
        )


def _outcome_words(outcome: Outcome) -> str:
    from veduta.reports.comparison_table import duration

    told = []
    if outcome.ranks is not None and (outcome.ranks > 0).any():
        told.append(f"top-1 {(outcome.ranks[outcome.ranks > 0] == 1).mean():.1%} on {outcome.data}")
    if outcome.effort is not None:
        told.append(f"trained in {duration(outcome.effort.seconds)}")
    told.append(f"{outcome.graph.photos_per_second:,.0f} photos/s")
    return f"{outcome.name}: {', '.join(told)}"


def _missing_words(missing: Missing) -> str:
    return f"{missing.name}: {missing.reason}"


def _tell(found: Comparison, out: Path, quiet: bool) -> None:
    """The table, what is missing, and where the rest is."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from veduta.reports.comparison_table import comparison_table, remarks

    console = Console(highlight=False, emoji=False)
    if not console.is_terminal:
        console.width = max(console.width, 200)
    shown = comparison_table(found).within(console.width)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for name, side in zip(shown.head, shown.align, strict=True):
        table.add_column(name, justify="right" if side == "r" else "left", no_wrap=True)
    for row in shown.rows:
        table.add_row(*map(Text, row))
    if shown.rows:
        console.print(table)
        console.print()
    for each in found.missing:
        console.print(Text(printable(f"missing: {_missing_words(each)}")), soft_wrap=True)
    for sentence in remarks(found):
        console.print(Text(sentence, style="dim"), soft_wrap=True)
    if not quiet:
        say(f"wrote {out / 'index.html'}, and comparison.png, .svg, .md, .csv and .json beside it")
