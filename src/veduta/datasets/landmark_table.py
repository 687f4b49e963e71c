"""The table of landmarks: id, names in languages, city, coordinates, source; a CSV that people may edit.

``label`` is the folder of its photos, and the class in a training.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from pathlib import Path

from veduta.errors import UsageError
from veduta.images.limits import printable
from veduta.labels.text_file import neutral
from veduta.labels.translations import LANGUAGES
from veduta.positions import in_range
from veduta.records import Landmark
from veduta.whole_file import write_whole

_NAMES = tuple(f"name_{language}" for language in LANGUAGES)
COLUMNS = ("label", "id", "name", "city", "latitude", "longitude", "kind", "fame", "source", *_NAMES)
_REQUIRED = ("label", "id", "name")
_LONGEST = 200


def write_landmark_table(file: Path, rows: Iterable[tuple[str, Landmark, str, int]]) -> None:
    """Write (label, landmark, kind, fame) of each. Raises OutputError."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    for label, landmark, kind, fame in rows:
        names = dict(landmark.names)
        latitude, longitude = landmark.position or ("", "")
        told = [*map(neutral, (label, landmark.id, landmark.name, landmark.city or "")), latitude, longitude]
        told += [neutral(kind), fame, neutral(landmark.source or "")]
        table.writerow([*told, *(neutral(names.get(language, "")) for language in LANGUAGES)])
    write_whole(file, text.getvalue().encode())


def read_landmark_table(file: Path) -> dict[str, Landmark]:
    """The landmarks by their labels.

    Raises UsageError, naming the line, for a file that is none, a label or id that comes twice, and coordinates out of
    range.
    """
    shown = printable(str(file))
    try:
        with file.open(encoding="utf-8-sig", newline="") as text:
            rows = list(csv.DictReader(text, restval=""))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"the table of landmarks {shown} can't be read ({error}); give a CSV file.") from error
    if not rows or any(column not in rows[0] for column in _REQUIRED):
        raise UsageError(f"{shown} is no table of landmarks; its columns must be {', '.join(COLUMNS)}.")
    found: dict[str, Landmark] = {}
    ids: set[str] = set()
    for number, row in enumerate(rows, 2):
        label, landmark = row["label"], _landmark(row, f"{shown}, line {number}")
        if label in found or landmark.id in ids:
            raise UsageError(
                f"{shown}, line {number}: {printable(label)} ({printable(landmark.id)}) is there already; tell two of "
                "one name apart by their cities."
            )
        found[label] = landmark
        ids.add(landmark.id)
    return found


def _landmark(row: Mapping[str, str | None], where: str) -> Landmark:
    values = {name: (row.get(name) or "").strip() for name in COLUMNS}
    if not all(0 < len(values[name]) <= _LONGEST and values[name].isprintable() for name in _REQUIRED):
        raise UsageError(f"{where}: a landmark needs a label, an id and a name of at most {_LONGEST} letters.")
    position = None
    if values["latitude"] or values["longitude"]:
        try:
            latitude, longitude = float(values["latitude"]), float(values["longitude"])
        except ValueError:
            latitude = longitude = float("nan")
        if not in_range(latitude, longitude):
            raise UsageError(
                f"{where}: {values['latitude']}, {values['longitude']} is no position; give degrees from -90 to 90 and "
                "-180 to 180."
            )
        position = latitude, longitude
    names = tuple((language, values[f"name_{language}"]) for language in LANGUAGES if values[f"name_{language}"])
    return Landmark(values["id"], values["name"], values["city"] or None, position, names, values["source"] or None)
