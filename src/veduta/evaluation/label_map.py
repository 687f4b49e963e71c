"""Names to names, from a table or a mapping: what a set's folders mean, and a user's own wider classes.

Both are two columns of a CSV file with a header: ``folder,label`` tells which label a folder (or a label of a table)
of somebody else's set is; ``class,wider class`` tells what a class of the model is judged as.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from veduta.errors import UsageError
from veduta.evaluation.names import match_label, nearest
from veduta.labels.taxonomy import Taxonomy
from veduta.labels.taxonomy_file import CoarseLabel
from veduta.labels.text_file import is_name, read_text, shown
from veduta.records import Label

#: A table above this is some other file.
MAX_BYTES = 2**22

MEANINGS = ("folder", "label")
WIDER = ("class", "wider class")


@dataclass(frozen=True, slots=True)
class LabelMap:
    """``pairs`` of names, and the ``source`` that a sentence about them begins with."""

    pairs: Mapping[str, str] = field(default_factory=dict)
    source: str = "the map of labels"

    def __bool__(self) -> bool:
        return bool(self.pairs)


def read_label_map(file: Path, columns: tuple[str, str]) -> LabelMap:
    """The pairs of a CSV file whose header is ``columns``: ``MEANINGS`` or ``WIDER``.

    Raises UsageError, with the line, where the file is not such a table or names something twice.
    """
    source = shown(str(file))
    try:
        rows = list(csv.reader(read_text(file, MAX_BYTES, UsageError).split("\n"), strict=True))
    except csv.Error as error:
        raise UsageError(
            f"{source} can't be read as a CSV table ({error}); write two columns, a pair on a line."
        ) from error
    header = ",".join(columns)
    if not rows or [cell.strip().casefold() for cell in rows[0]] != list(columns):
        first = ",".join(rows[0]) if rows else ""
        raise UsageError(
            f"{source}: its first line is {header}, and a pair follows on each line; here it is '{shown(first)}'."
        )
    pairs: dict[str, str] = {}
    for line, row in enumerate(rows[1:], 2):
        if not row:
            continue
        cells = [cell.strip() for cell in row]
        if len(cells) != len(columns) or not all(map(is_name, cells)):
            raise UsageError(f"line {line} of {source} must have a name in each of two columns, {header}.")
        if cells[0] in pairs:
            raise UsageError(f"line {line} of {source} names {columns[0]} '{shown(cells[0])}' again; leave it once.")
        pairs[cells[0]] = cells[1]
    if not pairs:
        raise UsageError(f"{source} has no pairs; write one on each line below {header}.")
    return LabelMap(pairs, source)


def wider_classes(wider: LabelMap, labels: Sequence[Label]) -> Taxonomy:
    """A model's ``labels`` in the wider classes of a map; a label that it does not name stays a class of its own.

    Raises UsageError where the map names what is no label, or one label twice, or leaves nothing to tell apart.
    """
    members: dict[str, list[str]] = {}
    named: set[str] = set()
    for name, wide in wider.pairs.items():
        place = match_label(name, labels)
        if place is None:
            raise UsageError(
                f"{wider.source}: '{shown(name)}' is no class of the model{nearest(name, labels)}; name classes as "
                "`veduta models info` does."
            )
        if labels[place].id in named:
            raise UsageError(f"{wider.source} names the class '{labels[place].id}' twice; leave it once.")
        named.add(labels[place].id)
        members.setdefault(wide, []).append(labels[place].id)
    for label in labels:
        # What is its own wider class, unnamed, and also that of others is one class with them.
        if label.id in members and label.id not in named:
            members[label.id].append(label.id)
            named.add(label.id)
    if len(members) + len(labels) - len(named) < 2:
        raise UsageError(f"{wider.source} makes all classes of the model one; leave at least two to tell apart.")
    coarse = tuple(CoarseLabel(wide, None, tuple(ids)) for wide, ids in members.items())
    return Taxonomy(coarse, "keep", wider.source)
