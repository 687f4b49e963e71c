"""``veduta generate``: pictures of scenes made up by a generator that learnt from photos."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from veduta.cli import options as given
from veduta.cli.generate_train import train
from veduta.cli.job import say, stages

if TYPE_CHECKING:
    from veduta.generation.evaluate import Evaluation

generate = typer.Typer(
    help="Generate pictures of scenes: train a generator, sample it, judge it. Example: veduta generate train photos/",
    no_args_is_help=True,
)
generate.command()(train)

Generator = Annotated[
    str,
    typer.Argument(
        metavar="GENERATOR", help="A generator's folder, as train leaves it in bundle/.", show_default=False
    ),
]
Seed = Annotated[int, typer.Option(min=0, help="Other numbers give other pictures; the same give the same.")]


@generate.command()
def sample(
    generator: Generator,
    out: Annotated[
        Path,
        typer.Option("--out", "-o", parser=given.path, metavar="<path>", help="A folder for them.", show_default=False),
    ],
    classes: Annotated[
        list[str] | None,
        typer.Option("--class", "-c", help="Of this class; repeatable.", show_default="all in turn"),
    ] = None,
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="How many.")] = 64,
    seed: Seed = 0,
    threads: given.Threads = None,
    quiet: given.Quiet = False,
) -> None:
    """Make pictures; no torch is needed.

    \b
    veduta generate sample runs/coasts/bundle --class coast --count 64 --seed 7 --out made/
    veduta dataset inspect made/                  a set by its manifest, in which they are marked

    Each PNG says in its metadata (XMP, IPTC's digital source type) that it is synthetic. grid.png shows the first.
    """
    from veduta.workflows.sample import write_sample

    with stages(quiet) as watch:
        written = write_sample(
            out, generator, count=count, seed=seed, classes=classes or (), threads=threads, watch=watch
        )
    if not quiet:
        say(f"wrote {count:,} pictures and {written}")


@generate.command()
def interpolate(
    generator: Generator,
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            parser=given.path,
            metavar="<path>",
            help="A strip (.png) or an animation (.webp).",
            show_default=False,
        ),
    ],
    start: Annotated[str, typer.Option("--from", help="The class to begin with.", show_default="the first")] = "",
    end: Annotated[str, typer.Option("--to", help="The class to end with.", show_default="that of --from")] = "",
    seed: Seed = 0,
    to_seed: Annotated[int | None, typer.Option(min=0, help="The seed to end with.", show_default="seed + 1")] = None,
    steps: Annotated[int, typer.Option(min=2, help="How many pictures, both ends among them.")] = 10,
    threads: given.Threads = None,
) -> None:
    """Show the way from one picture to another: between seeds, classes, or both.

    \b
    veduta generate interpolate runs/coasts/bundle --from coast --to desert/sand --out way.png
    veduta generate interpolate runs/coasts/bundle --steps 60 --out way.webp
    """
    from veduta.workflows.sample import write_way

    write_way(
        out,
        generator,
        seeds=(seed, seed + 1 if to_seed is None else to_seed),
        classes=(start, end),
        steps=steps,
        threads=threads,
    )
    say(f"wrote {out}")


@generate.command()
def evaluate(
    generator: Generator,
    data: Annotated[
        Path,
        typer.Argument(parser=given.path, metavar="DATA", help="The photos that it learnt from.", show_default=False),
    ],
    held_out: Annotated[
        Path | None,
        typer.Option(
            parser=given.path,
            metavar="<path>",
            help="Photos that it never saw.",
            show_default="those of DATA that it did not learn from",
        ),
    ] = None,
    count: Annotated[int, typer.Option("--count", "-n", min=2, help="How many pictures to judge.")] = 2000,
    seed: Seed = 1,
    features: Annotated[
        str | None,
        typer.Option(
            help="Measure by this embedding: a model, or NETWORK=WEIGHTS (extra train), such as "
            "mobilenet_v2=weights.safetensors or inception_v3=hub.",
            show_default="places100",
        ),
    ] = None,
    judge: Annotated[str, typer.Option(help="The model that must recognise the class.")] = "places100",
    out: Annotated[
        Path | None, typer.Option("--json", parser=given.path, metavar="<path>", help="All figures; - prints them.")
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            parser=given.path,
            metavar="<path>",
            help="A folder for pictures: a sample, photos beside it, and the nearest photo of each picture.",
        ),
    ] = None,
    quiet: given.Quiet = False,
) -> None:
    """Judge a generator: distances from real photos, diversity, copies, and whether its classes are recognised.

    \b
    veduta generate evaluate runs/coasts/bundle photos/ --report report/

    KID, FID, precision and recall are against photos that it never saw. A copy is a picture closer to a training photo
    than all but one in a hundred of other photos are (extra train for KID and FID). docs/generation.md tells more.
    """
    from veduta.errors import MissingExtra
    from veduta.generation.evaluate import evaluate_generator
    from veduta.generation.sampler import Sampler
    from veduta.recognition.tagger import load
    from veduta.whole_file import check_place, write_whole
    from veduta.workflows.sample import write_evidence

    if out is not None and str(out) != "-":
        check_place(out)
    if report is not None:
        check_place(report / "sample.png")
    sampler = Sampler.load(generator)
    try:
        from veduta.generation.feature_choice import chosen_features
    except ModuleNotFoundError as error:
        raise MissingExtra(f'judging needs {error.name}; install it with: pip install "veduta[train]"') from error
    with stages(quiet) as watch:
        found = evaluate_generator(
            sampler,
            data,
            held_out=held_out,
            count=count,
            seed=seed,
            features=chosen_features(features, watch.note),
            judge=load(judge),
            on_stage=watch.begin,
            on_picture=watch.step,
            on_note=watch.note,
        )
    text = json.dumps(found.figures(), indent=2, allow_nan=False) + "\n"
    if str(out) == "-":
        sys.stdout.write(text)
    else:
        _print(found)
    if out is not None and str(out) != "-":
        write_whole(out, text.encode())
        say(f"wrote {out}")
    if report is not None:
        for path in write_evidence(report, found):
            say(f"wrote {path}")


def _print(found: Evaluation) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{found.pictures:,} generated pictures against {found.real:,} photos never learnt from")
    table.add_column("figure")
    table.add_column("generated", justify="right")
    table.add_column("photos", justify="right")
    table.add_row("KID, 1000 times", f"{1000 * found.kernel_distance:.1f} ± {1000 * found.kernel_deviation:.1f}", "0")
    table.add_row(f"FID, {min(found.pictures, found.real):,} each", f"{found.frechet_distance:.1f}", "")
    table.add_row("precision", f"{found.precision:.1%}", "")
    table.add_row("recall", f"{found.recall:.1%}", "")
    table.add_row("diversity", f"{found.diversity:.3f} ({found.relative_diversity:.0%})", f"{found.real_diversity:.3f}")
    table.add_row(
        "diversity within classes",
        f"{found.diversity_within:.3f} ({found.relative_diversity_within:.0%})",
        f"{found.real_diversity_within:.3f}",
    )
    made, real = found.made_recognised, found.real_recognised
    if made is not None and real is not None:
        for name, one, other in (("top-1", made.top1, real.top1), ("top-5", made.top5, real.top5)):
            low, high = one.interval
            told = f"{one.value:.1%} ({low:.1%} to {high:.1%})"
            table.add_row(f"class recognised by {found.judge}, {name}", told, f"{other.value:.1%}")
    table.add_row("copies", f"{found.copies.closer:,}", f"{found.copies.expected:.0f} by chance")
    table.caption = f"features: {found.features}"
    Console().print(table)
