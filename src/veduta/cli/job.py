"""What ``tag`` and ``embed`` do around a job: the ledger, the progress bar, the summary, the exit code."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from veduta.cli import exits
from veduta.errors import LedgerError
from veduta.images.limits import printable

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

    from veduta.jobs.ledger import Ledger
    from veduta.jobs.pipeline import Progress, Summary
    from veduta.workflows.watch import Watch

#: Messages go to standard error; standard output is for results.
messages = Console(stderr=True, highlight=False, emoji=False)
INTERRUPTION = "veduta: interrupted. What was done is kept; the same command goes on from there."


def say(sentence: str) -> None:
    """A message on one line, in which no name can steer the terminal."""
    messages.print(printable(sentence), markup=False, soft_wrap=True)


@contextmanager
def open_ledger(path: Path | None, none: bool) -> Iterator[Ledger]:
    """The ledger of a job; says so where a damaged one was recovered."""
    from veduta.jobs.ledger import Ledger

    if path is not None and not none:
        _refuse_other_file(path)
    with Ledger.temporary() if none else Ledger.open(path) as ledger:
        try:
            yield ledger
        finally:
            if ledger.recovered:
                say(f"veduta: {ledger.recovered}")


@contextmanager
def progress_bar(quiet: bool) -> Iterator[Callable[[Progress], None] | None]:
    """A bar with photos a second and the time left, on a terminal; None elsewhere, and where it is not wanted."""
    if quiet or not messages.is_terminal:
        yield None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.fields[rate]}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[failed]}"),
    )
    with Bar(*columns, console=messages, transient=True) as bar:
        task = bar.add_task("", total=None, rate="", failed="")

        def show(counts: Progress) -> None:
            done = counts.answered + counts.failed
            speed = bar.tasks[0].speed
            bar.update(
                task,
                completed=done,
                total=counts.total,
                rate=f"{speed:,.0f} photos/s" if speed else "",
                failed=f"{counts.failed} failed" if counts.failed else "",
            )

        yield show


@contextmanager
def rated_bar(*, counts: bool) -> Iterator[Bar]:
    """A bar for tasks that say what they do and how fast (the field ``rate``), with the time left.

    What is done is shown as a number of a number where ``counts``, else as a share.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn() if counts else TaskProgressColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=messages, transient=True, disable=not messages.is_terminal) as bar:
        yield bar


@contextmanager
def counting_bar(quiet: bool) -> Iterator[Callable[[int, int, int], None] | None]:
    """The same, told photos done, failures among them, and photos in all."""
    from veduta.jobs.pipeline import Progress

    with progress_bar(quiet) as show:
        if show is None:
            yield None
            return
        bar = show
        yield lambda done, failed, total: bar(Progress(total=total, answered=done - failed, failed=failed))


@contextmanager
def stages(quiet: bool) -> Iterator[Watch]:
    """A bar for each stage, with what is left of it, and sentences."""
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    from veduta.workflows.watch import Watch

    if quiet:
        yield Watch()
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, console=messages, transient=True, disable=not messages.is_terminal) as bar:
        task = bar.add_task("", total=None, visible=False)

        def begin(stage: str) -> None:
            bar.reset(task, description=printable(stage), total=None, visible=True)
            if not messages.is_terminal:
                say(stage)

        yield Watch(begin, lambda done, count: bar.update(task, completed=done, total=count), say)


def _refuse_other_file(path: Path) -> None:
    """A photo or a table that is named by mistake must not be set aside like a damaged ledger."""
    try:
        if not path.is_file():
            return
        with path.open("rb") as file:
            head = file.read(16)
    except OSError:
        return  # opening the ledger tells what is wrong
    if head.strip(b"\0") and not head.startswith(b"SQLite format 3\0"):
        raise LedgerError(f"--ledger {path} is a file of another kind, not a ledger; name another place for it.")


def finish(summary: Summary, quiet: bool, written: list[str]) -> None:
    """Say how the job ended, and leave with its exit code."""
    if summary.interrupted:
        say(INTERRUPTION)
        sys.exit(exits.INTERRUPTED)
    if not quiet:
        parts = [f"{summary.total:,} photo{'s' * (summary.total != 1)} in {summary.seconds:.1f} s"]
        if summary.seconds > 0 and summary.total > 1:
            parts[0] += f" ({summary.total / summary.seconds:,.0f} photos/s)"
        parts += [
            f"{count:,} {what}"
            for count, what in (
                (summary.from_ledger, "known from an earlier run"),
                (summary.nothing_fits, "that no scene fits"),
                (summary.failed, "failed"),
            )
            if count
        ]
        say(", ".join(parts) + ".")
        for place in written:
            say(f"wrote {place}")
    if summary.failed:
        sys.exit(exits.SOME_PHOTOS_FAILED)
