"""``veduta models weigh``: how much should each of several models count in what they say together?"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from veduta.cli import evaluate_options as asked
from veduta.cli import exits
from veduta.cli import options as given
from veduta.cli.job import counting_bar, say

if TYPE_CHECKING:
    from veduta.evaluation.pooling import Nats, Pooling
    from veduta.evaluation.weighing import Weighing

#: Photos without an answer that are named one by one.
MOST_FAILURES = 5

Data = Annotated[
    Path,
    typer.Argument(
        parser=given.path,
        metavar="PHOTOS",
        help="A folder with a folder of photos for each class, or a manifest; photos that no model has learnt from.",
        show_default=False,
    ),
]
Models = Annotated[
    list[str],
    typer.Option("--model", "-m", help="Name or folder of a model; name two or more.", show_default=False),
]
Split = Annotated[
    str | None,
    typer.Option(
        help="Photos of a manifest: train, validation, test, or all.",
        show_default="validation; all where there are no splits",
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Tell the weights, and keep none.")]


def weigh(
    photos: Data,
    model: Models,
    split: Split = None,
    labels: asked.Labels = None,
    same: asked.Same = None,
    dry_run: DryRun = False,
    threads: given.Threads = None,
    quiet: given.Quiet = False,
) -> None:
    """Learn how much each of several models counts in what they say together.

    Weights are kept where they are better than equal ones on photos that they
    were not learnt on. From then on these models are averaged by them.

    Example: veduta models weigh validation/ -m places100 -m mine
    """
    from rich.text import Text

    from veduta.cli.model_facts import plain_console
    from veduta.evaluation.weighing import weigh as weigh_models
    from veduta.images.pool import DecodePool
    from veduta.models.ensemble_weights import read_weights

    # What the weights are to be filed in is looked at before the work.
    read_weights()
    meanings = asked.meanings_from(labels, same)
    with DecodePool(given.decoders_for(threads)) as pool, counting_bar(quiet) as show:
        taggers = given.load_taggers(model, "float32", threads, None, None, top_k=1)
        found = weigh_models(taggers, photos, pool, split=split, meanings=meanings, progress=show)
    _tell(found)
    # Results are told before anything is written, which may fail.
    plain_console().print(Text(_keep(found, dry_run)), soft_wrap=True)
    for failure in found.failures[:MOST_FAILURES]:
        say(f"{failure.error}: {failure.message}")
    if len(found.failures) > MOST_FAILURES:
        say(f"and {len(found.failures) - MOST_FAILURES:,} more photos without an answer.")
    if found.failures:
        sys.exit(exits.SOME_PHOTOS_FAILED)


def _tell(found: Weighing) -> None:
    from rich.table import Table
    from rich.text import Text

    from veduta.cli.model_facts import plain_console, safe
    from veduta.evaluation.levels import LEVEL_WORDS
    from veduta.labels.text_file import listed

    pooling, console = found.pooling, plain_console()
    words = LEVEL_WORDS["classes" if found.basis == "labels" else "coarse"]
    table = Table(title=f"{safe(found.data)}: {pooling.photos:,} photos, by {words}")
    table.add_column("", no_wrap=True)
    for heading in ("weight", "log loss, in nats", "95 % interval"):
        table.add_column(heading, justify="right")
    for name, weight, loss in zip(found.models, pooling.weights, pooling.alone, strict=True):
        table.add_row(safe(name), f"{weight:.3f}", *_cells(loss))
    table.add_section()
    table.add_row("together, equal weights", "", *_cells(pooling.equal))
    table.add_row("together, learnt weights, held out", "", *_cells(pooling.weighted))
    console.print(table)
    for name, photos in zip(found.models, found.lacking, strict=True):
        if photos:
            console.print(Text(f"{name} has no label for {photos:,} more photos."), soft_wrap=True)
    if found.elsewhere is not None:
        said = f"They count nowhere; on them the learnt weights {_gained(found.elsewhere)} equal ones."
        console.print(Text(said), soft_wrap=True)
    nothing = [*found.mapping.unnamed, *found.mapping.absent]
    if nothing:
        console.print(Text(f"Left out, for they mean none of these labels: {listed(nothing, 10)}."), soft_wrap=True)
    console.print(Text(_verdict(pooling)), soft_wrap=True)


def _verdict(pooling: Pooling) -> str:
    low, high = pooling.gain.interval
    chance = ", which may be chance" if pooling.better and low <= 0.0 else ""
    return (
        f"On photos that they were not learnt on, the weights {_gained(pooling.gain.value)} equal ones{chance} "
        f"(95 % interval of the gain: {low:+.3f} to {high:+.3f})."
    )


def _cells(loss: Nats) -> tuple[str, str]:
    return f"{loss.value:.3f}", f"{loss.interval[0]:.3f} – {loss.interval[1]:.3f}"


def _gained(nats: float) -> str:
    return f"gain {nats:.3f} nats over" if nats > 0.0 else f"lose {abs(nats):.3f} nats against"


def _keep(found: Weighing, dry_run: bool) -> str:
    """File the weights where they are better than equal ones, else forget what was known; a sentence that says so."""
    from veduta.models.ensemble_weights import drop_weights, keep_weights

    if dry_run:
        return "Nothing is kept (--dry-run)."
    if found.pooling.better:
        return f"Kept in {keep_weights(found.learnt)}; from now on these models are averaged by them."
    if drop_weights(found.bundle_ids, found.basis):
        return "The weights that were kept of these models are removed: each weighs the same."
    return "None are kept: each model weighs the same."
