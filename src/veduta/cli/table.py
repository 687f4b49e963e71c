"""Answers as a table on the terminal, or as JSON Lines on standard output."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from veduta.errors import OutputError

if TYPE_CHECKING:
    from veduta.jobs.rows import Result

#: More rows than this are no longer read on a terminal.
MOST_ROWS = 200

#: What stands behind an attribute that the photo itself had no say in.
_SOURCES = {"scene": " (by scene)"}

Row = Mapping[str, Any]


class TerminalTable:
    """Collects rows and prints them as one table when the job ends."""

    def __init__(self) -> None:
        self._rows: list[Row] = []
        self._more = 0

    def write(self, result: Result) -> None:
        """Keep a row for the table, while there is room."""
        if len(self._rows) < MOST_ROWS:
            self._rows.append(result.row)
        else:
            self._more += 1

    def finish(self) -> None:
        """Print the table."""
        console = Console(highlight=False)
        if not console.is_terminal:
            console.width = max(console.width, 160)
        several = any("models" in row for row in self._rows)
        table = Table(box=None, pad_edge=False, header_style="bold")
        table.add_column("photo", overflow="fold", ratio=2)
        if several:
            table.add_column("model")
        attributes = any("attributes" in answer for row in self._rows for _, answer in _answers(row))
        landmarks = any("landmark" in row for row in self._rows)
        more = [*(["attributes"] if attributes else []), *(["landmark"] if landmarks else [])]
        for name in ("everyday", "where", "scenes", *more):
            table.add_column(name, overflow="fold", ratio=3 if name in ("scenes", "attributes") else None)
        for row in self._rows:
            _add(table, row, several, attributes, landmarks)
        with _onto_standard_output():
            console.print(table)
            if self._more:
                console.print(f"… and {self._more:,} more; --out photos.jsonl or --report FOLDER shows all.")

    def abandon(self) -> None:
        """Nothing was printed."""


class StandardOutput:
    """JSON Lines on standard output, for ``--out -``. Raises OutputError."""

    def __init__(self) -> None:
        if sys.stdout is None:
            raise OutputError("Standard output is closed, so --out - has no place to write to; name a file.")

    def write(self, result: Result) -> None:
        """One line."""
        from veduta.jobs.rows import json_line

        with _onto_standard_output():
            sys.stdout.buffer.write(json_line(result.row))

    def finish(self) -> None:
        """Bring the last lines out."""
        with _onto_standard_output():
            sys.stdout.buffer.flush()

    def abandon(self) -> None:
        """What was written is out already."""


@contextmanager
def _onto_standard_output() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise  # a reader that has seen enough
    except OSError as error:
        raise OutputError(
            f"Standard output can't be written ({error.strerror}): make room where it leads, and give the same command"
            " again; answers that are in the ledger are not computed anew."
        ) from error


def _add(table: Table, row: Row, several: bool, attributes: bool, landmarks: bool) -> None:
    name = _printable(row["path"])
    if "error" in row:
        sentence = Text(row["message"], style="red")
        table.add_row(name, *([""] * several), Text(row["error"], style="red"), "", sentence)
        return
    for index, (model, answer) in enumerate(_answers(row)):
        cells = (*_cells(answer), *([_attributes(answer)] if attributes else []))
        if landmarks:
            cells = (*cells, _landmark(row) if index == 0 else Text(""))
        table.add_row(name if index == 0 else "", *([model] if several else []), *cells)


def _answers(row: Row) -> list[tuple[str, Row]]:
    """What each model says, and what they say together; a single model has no name here."""
    if "models" not in row:
        return [("", row)]
    return [*row["models"].items(), *([("together", row["combined"])] if "combined" in row else [])]


def _cells(answer: Row) -> tuple[Text, Text, Text]:
    scenes = [f"{score.get('name', score['id'])} {score['probability']:.0%}" for score in answer.get("scores") or ()]
    evidence = answer.get("evidence")
    if evidence and not evidence["fits"]:
        # The labels that came nearest are told as such; kind of place, environment and attributes follow from them and
        # are not.
        nearest = Text(f"nearest: {', '.join(scenes)}", style="dim") if scenes else Text("")
        return Text("nothing fits", style="yellow"), Text(""), nearest
    coarse, environment = answer.get("coarse"), answer.get("environment")
    everyday = Text(coarse[0].get("name", coarse[0]["id"]) if coarse else "")
    where = Text(f"{environment['kind']} {_certainty(environment):.0%}" if environment else "")
    first, *others = scenes or [""]
    return everyday, where, Text(", ").join([Text(first, style="bold"), *map(Text, others)])


def _attributes(answer: Row) -> Text:
    evidence = answer.get("evidence")
    if evidence and not evidence["fits"]:
        return Text("")
    told = [
        Text(f"{each.get('name', each['id'])} {each['probability']:.0%}{_SOURCES.get(each['source'], '')}")
        for each in answer.get("attributes") or ()
    ]
    return Text(", ").join(told)


def _landmark(row: Row) -> Text:
    """The landmark with its similarity; none is none, and why stands in the row."""
    landmark = row.get("landmark") or {}
    if landmark.get("id") is None:
        return Text("none", style="dim")
    similarity = next(each["similarity"] for each in landmark["candidates"] if each["id"] == landmark["id"])
    return _printable(landmark["name"]).append(f" {similarity:.2f}")


def _certainty(environment: Row) -> float:
    outdoor = float(environment["outdoor_probability"])
    return outdoor if environment["kind"] == "outdoor" else 1 - outdoor


def _printable(text: str) -> Text:
    """A file name as one line that can't steer the terminal."""
    return Text("".join(c if c.isprintable() else c.encode("unicode_escape", "replace").decode() for c in text))
