"""A comparison as files: a page, the plot, and the table for people and for programs.

folder/
    index.html           the page; it opens from the disk
    assets/              its style
    comparison.png .svg  accuracy against time for a photo
    comparison.md        the table, to be put into a text
    comparison.csv       a row for each, in plain numbers
    comparison.json      the same and more, for programs
"""

from __future__ import annotations

import csv
import html
import io
import json
import string
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import veduta
from veduta.errors import MissingExtra
from veduta.evaluation.comparison import RANKED_BY, Comparison, Figure, Missing, Row
from veduta.evaluation.figures import WORDS, rounded
from veduta.images.limits import printable
from veduta.labels.text_file import neutral
from veduta.reports.comparison_plot import comparison_plot
from veduta.reports.comparison_table import comparison_table, remarks
from veduta.reports.report_folder import PAGE, ReportFolder
from veduta.reports.words import asset
from veduta.whole_file import write_whole

SCHEMA_VERSION = 1

_NAME = "comparison"
# The last three are what the comparison itself keeps beside its report.
_FOLDER = ReportFolder(
    "Veduta comparison",
    (
        "assets",
        *(f"{_NAME}.{ending}" for ending in ("png", "svg", "md", "csv", "json")),
        "data",
        "cells",
        "backbones",
    ),
)
_STYLES = ("report.css", "comparison.css")
_FIGURES = ("top1", "top5", "mean_average_precision")


def check_folder(folder: Path) -> None:
    """Raise, before the work for it, UsageError where a comparison can't go: see ``ReportFolder.check_free``; and
    MissingExtra without what draws it.
    """
    try:
        import matplotlib  # noqa: F401
    except ModuleNotFoundError as error:
        raise MissingExtra('a picture needs matplotlib; install it with: pip install "veduta[evaluate]"') from error
    _FOLDER.check_free(folder)


def claim_folder(folder: Path) -> None:
    """Mark the folder as a comparison's, so that one that was killed can go on. Raises as ``check_folder``, and
    OutputError.
    """
    _FOLDER.claim(folder)


def write_comparison(folder: Path, comparison: Comparison) -> Path:
    """Write all files into a folder that ``claim_folder`` marked, and return the page's path. Raises OutputError."""
    values = json.dumps(comparison_values(comparison), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    write_whole(folder / f"{_NAME}.json", values.encode("utf-8", "backslashreplace"))
    write_whole(folder / f"{_NAME}.csv", comparison_csv(comparison).encode("utf-8", "backslashreplace"))
    write_whole(folder / f"{_NAME}.md", comparison_markdown(comparison).encode("utf-8", "backslashreplace"))
    if comparison.rows:
        write_whole(folder / f"{_NAME}.png", comparison_plot(comparison))
        write_whole(folder / f"{_NAME}.svg", comparison_plot(comparison, "svg"))
    for style in _STYLES:
        write_whole(folder / "assets" / style, asset(style).encode())
    write_whole(folder / PAGE, _page(comparison).encode("utf-8", "backslashreplace"))
    return folder / PAGE


def comparison_values(comparison: Comparison) -> dict[str, Any]:
    """All of a comparison as JSON values; shares are from 0 to 1, times in seconds."""
    return {
        "schema_version": SCHEMA_VERSION,
        "task": comparison.task,
        "ranked_by": RANKED_BY[comparison.task],
        "planned": comparison.planned,
        "rows": [_row_values(row) for row in comparison.rows],
        "missing": [asdict(each) for each in comparison.missing],
        "remarks": list(remarks(comparison)),
    }


def comparison_csv(comparison: Comparison) -> str:
    """A header and a row for each outcome and each that is missing; every column is always there."""
    rows = [_flat(row) for row in comparison.rows]
    missing = [{"name": each.name, "data": each.data, "missing": each.reason} for each in comparison.missing]
    text = io.StringIO()
    writer = csv.DictWriter(text, _columns(), lineterminator="\n", restval="")
    writer.writeheader()
    writer.writerows(
        {name: neutral(value) if isinstance(value, str) else value for name, value in row.items()}
        for row in [*rows, *missing]
    )
    return text.getvalue()


def comparison_markdown(comparison: Comparison) -> str:
    """The table, what is missing, and what the figures hold under."""
    table = comparison_table(comparison)
    lines = [_markdown_row(table.head), _markdown_row(["--:" if side == "r" else "---" for side in table.align])]
    lines += map(_markdown_row, table.rows)
    if comparison.missing:
        lines += [
            "",
            *(f"- **{_escaped(each.name)}** is missing: {_escaped(each.reason)}" for each in comparison.missing),
        ]
    lines += ["", *map(_escaped, remarks(comparison))]
    return "\n".join(lines) + "\n"


def _row_values(row: Row) -> dict[str, Any]:
    outcome = row.outcome
    return {
        "name": outcome.name,
        "model": outcome.model,
        "size": outcome.size,
        "recipe": outcome.recipe or None,
        "data": outcome.data,
        "photos": row.photos,
        "figures": {name: _figure_values(figure) for name, figure in row.figures.items()},
        "against": row.against,
        "difference": None if row.difference is None else _figure_values(row.difference),
        "training": None if outcome.effort is None else asdict(outcome.effort),
        "graph_speed": asdict(outcome.graph),
        "whole_way_speed": asdict(outcome.whole_way),
        "parameters": outcome.parameters,
        "bytes_on_disk": outcome.disk_bytes,
        "bundle": outcome.bundle,
        "bundle_id": outcome.bundle_id,
        "unknown_labels": list(outcome.unknown),
        "unanswered": outcome.failures,
    }


def _figure_values(figure: Figure) -> dict[str, Any]:
    return {"value": round(figure.value, 4), "interval": list(rounded(figure.interval))}


def _columns() -> list[str]:
    figures = [column for name in (*_FIGURES, "difference") for column in (name, f"{name}_low", f"{name}_high")]
    return [
        "name", "model", "size", "recipe", "data", "photos", *figures, "against", "training_seconds",
        "training_processor_seconds", "training_runs", "graph_photos_per_second", "whole_way_photos_per_second",
        "parameters", "bytes_on_disk", "bundle", "bundle_id", "missing",
    ]  # fmt: skip


def _flat(row: Row) -> dict[str, Any]:
    outcome, figures = row.outcome, dict(row.figures)
    if row.difference is not None:
        figures["difference"] = row.difference
    flat: dict[str, Any] = {
        "name": outcome.name,
        "model": outcome.model,
        "size": outcome.size,
        "recipe": outcome.recipe,
        "data": outcome.data,
        "photos": row.photos,
        "against": row.against,
        "graph_photos_per_second": round(outcome.graph.photos_per_second, 1),
        "whole_way_photos_per_second": round(outcome.whole_way.photos_per_second, 1),
        "parameters": outcome.parameters,
        "bytes_on_disk": outcome.disk_bytes,
        "bundle": outcome.bundle,
        "bundle_id": outcome.bundle_id,
    }
    for name, figure in figures.items():
        low, high = rounded(figure.interval)
        flat |= {name: round(figure.value, 4), f"{name}_low": low, f"{name}_high": high}
    if outcome.effort is not None:
        flat |= {
            "training_seconds": outcome.effort.seconds,
            "training_processor_seconds": outcome.effort.processor_seconds,
            "training_runs": outcome.effort.runs,
        }
    return flat


def _page(comparison: Comparison) -> str:
    table = comparison_table(comparison)
    head = "".join(_cell("th", name, side) for name, side in zip(table.head, table.align, strict=True))
    rows = "\n".join(
        _line("" if row.difference else "reference", texts, table.align)
        for row, texts in zip(comparison.rows, table.rows, strict=True)
    )
    words = f"{WORDS[RANKED_BY[comparison.task]]} over milliseconds for a photo"
    picture = f'<img src="{_NAME}.svg" alt="{html.escape(words)}">' if comparison.rows else ""
    done = len(comparison.rows) + len(comparison.missing)
    return string.Template(asset("comparison.html")).substitute(
        marker=_FOLDER.marker,
        version=html.escape(veduta.__version__),
        title=_text(f"Comparison on {', '.join(comparison.sets) or 'nothing yet'}"),
        subtitle=f"{done:,} of {comparison.planned:,} done",
        picture=picture,
        head=head,
        rows=rows,
        missing=_missing(comparison.missing),
        remarks="\n".join(f"<p>{_text(each)}</p>" for each in remarks(comparison)),
    )


def _missing(missing: tuple[Missing, ...]) -> str:
    if not missing:
        return ""
    told = "\n".join(f'<p class="lost"><b>{_text(each.name)}</b>: {_text(each.reason)}</p>' for each in missing)
    return f"  <section>\n    <h2>Missing</h2>\n{told}\n  </section>"


def _line(kind: str, texts: Sequence[str], align: str) -> str:
    cells = "".join(_cell("td", text, side) for text, side in zip(texts, align, strict=True))
    return f'<tr class="{kind}">{cells}</tr>'


def _cell(tag: str, text: str, side: str) -> str:
    return f'<{tag} class="{side}">{_text(text)}</{tag}>'


def _markdown_row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(map(_escaped, cells))} |"


def _escaped(text: str) -> str:
    """A text that is nothing else in Markdown."""
    escaped = printable(text)
    for letter in ("\\", "|", "<", "*", "`", "[", "$"):
        escaped = escaped.replace(letter, f"\\{letter}")
    return escaped


def _text(text: str) -> str:
    """A text that can't be anything else in a page, nor turn the direction of what follows."""
    return html.escape(printable(text))
