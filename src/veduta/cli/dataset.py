"""``veduta dataset``: what is in a set of photos, what it is better without, and which part is for what."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from veduta.cli import options as given
from veduta.cli.job import counting_bar, say

if TYPE_CHECKING:
    from veduta.datasets.clean import Cleaned
    from veduta.datasets.manifest import Manifest

dataset = typer.Typer(
    help="Look at a set of photos, clean it, choose from it and split it. Example: veduta dataset inspect photos/",
    no_args_is_help=True,
)

Data = Annotated[
    Path,
    typer.Argument(
        parser=given.path,
        metavar="DATA",
        help="A folder with a folder of photos for each class, a CSV table of 0 and 1, or a manifest.",
        show_default=False,
    ),
]
Out = Annotated[
    Path,
    typer.Option("--out", "-o", parser=given.path, metavar="<path>", help="The manifest, .csv or .parquet."),
]
Seed = Annotated[int, typer.Option(min=0, help="Another one draws other photos.")]
#: Classes that a table on the terminal tells one by one.
MOST_CLASSES = 40


@dataset.command()
def inspect(
    data: Data,
    plot: Annotated[
        Path | None,
        typer.Option(parser=given.path, metavar="<path>", help="Draw the photos of each class, sorted, as PNG."),
    ] = None,
) -> None:
    """Tell the classes of a set, how many photos each has, and what is wrong with its labels; no photo is read.

    Example: veduta dataset inspect photos/ --plot classes.png
    """
    from veduta.datasets.manifest import read_data
    from veduta.datasets.problems import problems
    from veduta.reports.dataset import class_plot
    from veduta.whole_file import write_whole

    manifest = read_data(data)
    _print_classes(manifest)
    found = problems(manifest)
    for sentence in found[:MOST_CLASSES]:
        say(sentence)
    if len(found) > MOST_CLASSES:
        say(f"and {len(found) - MOST_CLASSES:,} more of this kind.")
    if plot is not None:
        write_whole(plot, class_plot(manifest.counts()))
        say(f"wrote {plot}")


@dataset.command()
def clean(
    data: Data,
    out: Out,
    min_side: Annotated[int, typer.Option(min=0, help="Photos whose shorter side has fewer pixels go.")] = 64,
    copies: Annotated[
        bool, typer.Option(help="Of photos that are copies of each other the best is kept (extra dataset).")
    ] = True,
    balance: Annotated[
        float | None,
        typer.Option(min=1, help="Then no class keeps more photos than so many times those of the smallest."),
    ] = None,
    sheet: Annotated[
        Path | None,
        typer.Option(parser=given.path, metavar="<path>", help="A JPEG of what was dropped or is suspected, and why."),
    ] = None,
    seed: Seed = 0,
    threads: given.Threads = None,
    max_megabytes: given.MaxMegabytes = None,
    max_megapixels: given.MaxMegapixels = None,
    max_seconds: given.MaxSeconds = None,
    quiet: given.Quiet = False,
) -> None:
    """Find what a set is better without: unreadable, small and black photos, and copies over the whole set.

    \b
    veduta dataset clean photos/ --out clean.csv --sheet dropped.jpg
    veduta train clean.csv --out runs/mine

    No photo is moved or deleted: the manifest says which are dropped and why, and which somebody should look at, for
    they may be blurred, or no photographs.
    """
    from veduta.datasets.clean import Rules
    from veduta.datasets.clean import clean as sweep
    from veduta.datasets.duplicates import check_libraries
    from veduta.datasets.manifest import read_data, write_manifest
    from veduta.datasets.select import balance as balanced
    from veduta.datasets.survey import survey
    from veduta.images.pool import DecodePool
    from veduta.reports.dataset import contact_sheet
    from veduta.whole_file import check_place, write_whole

    _check_out(out)
    if copies:
        check_libraries()
    if sheet is not None:
        check_place(sheet)
    rules = Rules(least_side=min_side, copies=copies)
    manifest = read_data(data)
    limits = given.limits_from(max_megabytes, max_megapixels, max_seconds)
    with DecodePool(given.decoders_for(threads), limits) as pool:
        with counting_bar(quiet) as show:
            seen = survey([each.path for each in manifest.entries], pool, with_fingerprints=copies, progress=show)
        cleaned = sweep(manifest, seen, rules)
        found = cleaned.manifest if balance is None else balanced(cleaned.manifest, ratio=balance, seed=seed)
        write_manifest(out, found)
        if sheet is not None:
            told = [(each.path, each.dropped or each.suspicion) for each in found.entries]
            write_whole(sheet, contact_sheet([each for each in told if each[1]], pool))
    if not quiet:
        _tell_cleaned(found, cleaned)
        say(f"wrote {out}" + (f" and {sheet}" if sheet is not None else ""))


@dataset.command()
def select(
    data: Data,
    out: Out,
    keep: Annotated[
        Path | None,
        typer.Option(parser=given.path, metavar="<path>", help="A text file with the classes to keep, one on a line."),
    ] = None,
    drop: Annotated[
        Path | None,
        typer.Option(parser=given.path, metavar="<path>", help="A text file with the classes to drop, one on a line."),
    ] = None,
    min_per_class: Annotated[int, typer.Option(min=0, help="Classes with fewer photos go.")] = 0,
    max_per_class: Annotated[
        int | None, typer.Option(min=1, help="Photos of a class beyond so many go, drawn by the seed.")
    ] = None,
    seed: Seed = 0,
) -> None:
    """Choose classes, and how many photos of each.

    Example: veduta dataset select clean.csv --drop unwanted.txt --min-per-class 20 --out chosen.csv
    """
    from veduta.datasets.manifest import read_data, write_manifest
    from veduta.datasets.select import read_class_names
    from veduta.datasets.select import select as choose

    _check_out(out)
    chosen = choose(
        read_data(data),
        keep=None if keep is None else read_class_names(keep),
        drop=() if drop is None else read_class_names(drop),
        min_per_class=min_per_class,
        max_per_class=max_per_class,
        seed=seed,
    )
    write_manifest(out, chosen)
    _tell_dropped(chosen)
    say(f"wrote {out}")


@dataset.command()
def split(
    data: Data,
    out: Out,
    shares: Annotated[
        str, typer.Option(help="80/20 as train and test, or 60/20/20 as train, validation and test.")
    ] = "60/20/20",
    anew: Annotated[bool, typer.Option("--anew", help="Forget the splits that photos have.")] = False,
    seed: Seed = 0,
) -> None:
    """Give each photo its part, so that every class has its share in each and photos of one group stay together.

    Example: veduta dataset split clean.csv --shares 80/10/10 --out split.csv
    """
    from veduta.datasets.manifest import read_data, write_manifest
    from veduta.datasets.split import read_shares, split_manifest

    _check_out(out)
    found = split_manifest(read_data(data), read_shares(shares), seed, anew=anew)
    write_manifest(out, found)
    parts = Counter(entry.split for entry in found.kept)
    say(", ".join(f"{name} {count:,}" for name, count in parts.most_common()) + " photos")
    say(f"wrote {out}")


def _check_out(out: Path) -> None:
    from veduta.errors import UsageError
    from veduta.whole_file import check_place

    if out.suffix.lower() not in (".csv", ".parquet"):
        raise UsageError(f"--out {out}: a manifest is a .csv or a .parquet file; end its name so.")
    check_place(out)


def _print_classes(manifest: Manifest) -> None:
    from rich.table import Table

    from veduta.cli.model_facts import plain_console, safe

    counts = sorted(manifest.counts().items(), key=lambda item: (-item[1], item[0]))
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("class")
    table.add_column("photos", justify="right")
    for name, count in counts[:MOST_CLASSES]:
        table.add_row(safe(name), f"{count:,}")
    console = plain_console()
    console.print(table)
    if len(counts) > MOST_CLASSES:
        console.print(f"… and {len(counts) - MOST_CLASSES:,} more; --plot draws all.")
    dropped = len(manifest) - len(manifest.kept)
    told = f"{len(manifest.kept):,} photos of {len(counts):,} {'classes' if len(counts) != 1 else 'class'}"
    console.print(told + (f"; {dropped:,} are dropped" if dropped else ""))


def _tell_cleaned(manifest: Manifest, cleaned: Cleaned) -> None:
    _tell_dropped(manifest)
    suspected = sum(bool(entry.suspicion) for entry in manifest.kept)
    if suspected:
        say(f"{suspected:,} kept photos are suspect; the column suspicion says why.")
    if cleaned.conflicts:
        say(f"{len(cleaned.conflicts):,} photos lie under two labels; they are among the suspect.")


def _tell_dropped(manifest: Manifest) -> None:
    reasons = Counter(entry.dropped.split(":")[0] for entry in manifest.entries if entry.dropped)
    told = "; ".join(f"{reason} {count:,}" for reason, count in reasons.most_common())
    say(f"{len(manifest.kept):,} of {len(manifest):,} photos are kept" + (f"; dropped: {told}" if told else "") + ".")
