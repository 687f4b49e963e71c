"""``veduta dataset clean``: what a set is better without."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from veduta.cli import options as given
from veduta.cli.job import counting_bar, say
from veduta.cli.manifests import Data, Out, Seed, check_out, tell_dropped, tell_empty, tell_problems

if TYPE_CHECKING:
    from veduta.datasets.clean import Cleaned
    from veduta.datasets.manifest import Manifest


def clean(
    data: Data,
    out: Out,
    min_side: Annotated[int, typer.Option(min=0, help="Photos whose shorter side has fewer pixels go.")] = 64,
    copies: Annotated[
        bool, typer.Option(help="Of photos that are copies of each other the best is kept (extra dataset).")
    ] = True,
    balance: Annotated[
        float | None,
        typer.Option(
            min=1, help="Then no class keeps more photos than so many times those of the smallest; 1 makes all equal."
        ),
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
    from veduta.datasets.clean import Rules, findings, survey_and_clean
    from veduta.datasets.duplicates import check_libraries
    from veduta.datasets.manifest import read_data, write_manifest
    from veduta.datasets.select import balance as balanced
    from veduta.images.pool import DecodePool
    from veduta.reports.dataset import contact_sheet
    from veduta.whole_file import check_place, write_whole

    check_out(out)
    if copies:
        check_libraries()
    if sheet is not None:
        check_place(sheet)
    manifest = read_data(data)
    if balance is not None:
        balanced(manifest, ratio=balance)  # refuses here what it would refuse when all photos have been read
    limits = given.limits_from(max_megabytes, max_megapixels, max_seconds)
    with DecodePool(given.decoders_for(threads), limits) as pool:
        with counting_bar(quiet) as show:
            cleaned = survey_and_clean(manifest, pool, Rules(min_side, copies=copies), progress=show)
        found = cleaned.manifest if balance is None else balanced(cleaned.manifest, ratio=balance, seed=seed)
        write_manifest(out, found)
        if sheet is not None:
            write_whole(sheet, contact_sheet(findings(manifest, cleaned.manifest), pool))
    if not quiet:
        _tell(found, cleaned)
        say(f"wrote {out}" + (f" and {sheet}" if sheet is not None else ""))


def _tell(manifest: Manifest, cleaned: Cleaned) -> None:
    from veduta.datasets.problems import problems

    tell_dropped(manifest)
    tell_empty(manifest)
    suspected = sum(bool(entry.suspicion) for entry in manifest.kept)
    if suspected:
        say(f"suspect among the kept: {suspected:,}; the column suspicion says why.")
    if cleaned.conflicts:
        say(f"photos that lie under two labels: {len(cleaned.conflicts):,}; they are among the suspect.")
    tell_problems([problem for problem in problems(replace(manifest, empty=())) if problem.fatal])
