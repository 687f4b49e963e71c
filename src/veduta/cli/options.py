"""Options that several commands share, and what becomes of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from veduta.images.limits import Limits
    from veduta.recognition.tagger import Tagger


def path(text: str) -> Path:
    """A path as it was typed; an empty one, as of an unset variable of the shell, would mean the folder here."""
    if not text:
        raise typer.BadParameter("The path is empty; name a file or a folder.")
    return Path(text)


Photos = Annotated[
    list[str],
    typer.Argument(
        metavar="PHOTOS...",
        help="Files, folders, globs in quotes, or - for a list on standard input (lines, or NUL-separated).",
        show_default=False,
    ),
]
Models = Annotated[
    list[str] | None,
    typer.Option(
        "--model", "-m", help="Name or folder of a model; repeat it to ask several.", show_default="places100"
    ),
]
Precision = Annotated[str, typer.Option(help="float32, or bfloat16: faster, and a few close calls differ.")]
Threads = Annotated[
    int | None,
    typer.Option(min=1, help="Cores to use, for decoding and for the model.", show_default="all this process may use"),
]
Language = Annotated[str, typer.Option("--language", "-l", help="Names in en, de, ru, pt or zh; ids stay the same.")]
Taxonomy = Annotated[
    Path | None,
    typer.Option(
        parser=path,
        metavar="<path>",
        help="Your own file of everyday labels instead of the shipped one.",
        show_default=False,
    ),
]
DropClass = Annotated[
    list[str] | None,
    typer.Option("--drop-class", help="A scene id that can't be meant; the others share its probability. Repeatable."),
]
TopK = Annotated[int, typer.Option("--top-k", "-k", min=1, help="How many scenes to tell.")]
LedgerFile = Annotated[
    Path | None,
    typer.Option(
        "--ledger",
        parser=path,
        metavar="<path>",
        help="The record of what is done.",
        show_default="ledger.sqlite3 in the user's cache",
    ),
]
NoLedger = Annotated[bool, typer.Option("--no-ledger", help="Keep no record; everything is computed anew.")]
RetryFailed = Annotated[
    bool, typer.Option("--retry-failed", help="Try again the photos that failed in an earlier run.")
]
MaxMegabytes = Annotated[int | None, typer.Option(min=1, help="Refuse larger files.", show_default=False)]
MaxMegapixels = Annotated[int | None, typer.Option(min=1, help="Refuse photos of more pixels.", show_default=False)]
MaxSeconds = Annotated[float | None, typer.Option(min=0.1, help="Give up on a photo after this.", show_default=False)]
Size = Annotated[
    int | None,
    typer.Option(
        help="Shrink photos to this side in pixels, not the model's own: less time, fewer right.", show_default=False
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar, no summary.")]


def only_given(**asked: Any) -> dict[str, Any]:
    """Those of some options that the user gave; the others are left to whoever has their defaults."""
    return {name: value for name, value in asked.items() if value is not None}


def limits_from(megabytes: int | None, megapixels: int | None, seconds: float | None) -> Limits:
    """The limits that the user set, the defaults for the rest."""
    from dataclasses import replace

    from veduta.images.limits import Limits

    limits = Limits()
    if megabytes is not None:
        limits = replace(limits, max_bytes=megabytes * 2**20)
    if megapixels is not None:
        limits = replace(limits, max_pixels=megapixels * 1_000_000)
    if seconds is not None:
        limits = replace(limits, max_seconds=seconds)
    return limits


def decoders_for(threads: int | None) -> int:
    """How many processes decode: one a core; more would only take memory."""
    from veduta.models.threads import available_threads

    return min(threads or available_threads(), available_threads())


def load_taggers(
    models: list[str] | None,
    precision: str,
    threads: int | None,
    taxonomy: Path | None,
    drop: list[str] | None,
    top_k: int,
    embedding: bool = False,
    attributes: bool = False,
    size: int | None = None,
) -> list[Tagger]:
    """The asked models, or the bundled one."""
    from veduta.errors import UsageError
    from veduta.recognition.tagger import DEFAULT_MODEL, load

    if precision not in ("float32", "bfloat16"):
        raise UsageError(f"--precision {precision} is unknown; give float32 or bfloat16.")
    return [
        load(
            name,
            precision="bfloat16" if precision == "bfloat16" else "float32",
            threads=threads,
            taxonomy=taxonomy,
            drop=drop or (),
            top_k=top_k,
            embedding=embedding,
            attributes=attributes,
            size=size,
        )
        for name in models or [DEFAULT_MODEL]
    ]
