"""Results to files: JSON for programs, a Markdown table for the README."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.settings import Settings, machine


@dataclass(frozen=True, slots=True)
class Table:
    """A Markdown table under a heading; all cells are text."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""

    def markdown(self) -> str:
        """The table, with its heading and its note."""
        lines = [f"### {self.title}", ""]
        lines += ["| " + " | ".join(row) + " |" for row in (self.columns, ["---"] * len(self.columns), *self.rows)]
        if self.note:
            lines += ["", self.note]
        return "\n".join(lines) + "\n"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One line of the table "Must reach": what was asked, what was measured, and whether it is reached.

    ``reached`` is None for a figure that is only told.
    """

    what: str
    wanted: str
    measured: str
    reached: bool | None


@dataclass(slots=True)
class Report:
    """What one benchmark found."""

    name: str
    figures: dict[str, Any] = field(default_factory=dict)
    tables: list[Table] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)

    def publish(self, settings: Settings) -> None:
        """Print the tables, and write ``<name>.json`` and ``<name>.md``."""
        settings.out.mkdir(parents=True, exist_ok=True)
        tables = [*self.tables]
        if self.verdicts:
            tables.append(verdict_table(self.verdicts))
        text = "\n".join(table.markdown() for table in tables)
        print(f"\n{text}", flush=True)
        content = {
            "benchmark": self.name,
            "scale": settings.scale.name,
            "machine": machine(),
            "figures": self.figures,
            "must_reach": [
                {"what": each.what, "wanted": each.wanted, "measured": each.measured, "reached": each.reached}
                for each in self.verdicts
            ],
        }
        (settings.out / f"{self.name}.json").write_text(json.dumps(content, indent=1) + "\n")
        (settings.out / f"{self.name}.md").write_text(text)


def verdict_table(verdicts: Sequence[Verdict]) -> Table:
    """The lines of "Must reach" as a table."""
    words = {True: "yes", False: "**no**", None: ""}
    rows = [(each.what, each.wanted, each.measured, words[each.reached]) for each in verdicts]
    return Table("Must reach", ("what", "wanted", "measured", "reached"), rows)


def percent(share: float, digits: int = 1) -> str:
    """A share in [0, 1] as a percentage."""
    return f"{share:.{digits}%}".replace("%", " %")
