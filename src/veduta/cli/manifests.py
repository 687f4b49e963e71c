"""What the commands about sets of photos share: their options, and what they say of a manifest."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from veduta.cli import options as given
from veduta.cli.job import say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from veduta.datasets.manifest import Manifest
    from veduta.datasets.problems import Problem

#: Of classes, and of problems of one kind, so many are told one by one.
MOST_TOLD = 40

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


def check_out(out: Path) -> None:
    """Raises UsageError where ``--out`` has no ending of a manifest, OutputError where no file can take its place."""
    from veduta.errors import UsageError
    from veduta.whole_file import check_place

    if out.suffix.lower() not in (".csv", ".parquet"):
        raise UsageError(f"--out {out}: a manifest is a .csv or a .parquet file; end its name so.")
    check_place(out)


def tell_dropped(manifest: Manifest) -> None:
    """How many photos are kept, and how many were dropped for what."""
    reasons = Counter(entry.dropped.split(":")[0] for entry in manifest.entries if entry.dropped)
    told = "; ".join(f"{reason} {count:,}" for reason, count in reasons.most_common())
    say(f"{len(manifest.kept):,} of {len(manifest):,} photos are kept" + (f"; dropped: {told}" if told else "") + ".")


def tell_empty(manifest: Manifest) -> None:
    """The classes that a written manifest does not know any more."""
    for name in manifest.empty[:MOST_TOLD]:
        say(f"the class {name!r} has no photo in its folder, so the manifest does not have it.")


def tell_parts(manifest: Manifest) -> None:
    """How many kept photos have which split, where any has one."""
    parts = Counter(entry.split or "no part" for entry in manifest.kept)
    if parts.keys() - {"no part"}:
        say(", ".join(f"{name} {count:,}" for name, count in parts.most_common()) + " photos")


def tell_problems(problems: Sequence[Problem]) -> None:
    """Those that a training refuses, then those to look at, a line each."""
    for fatal, heading in ((True, "veduta train would refuse this set:"), (False, "worth a look:")):
        words = [problem.words for problem in problems if problem.fatal == fatal]
        if not words:
            continue
        say(heading)
        for sentence in words[:MOST_TOLD]:
            say(f"  {sentence}")
        if len(words) > MOST_TOLD:
            say(f"  and {len(words) - MOST_TOLD:,} more of this kind.")
