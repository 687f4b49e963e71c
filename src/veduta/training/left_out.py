"""Photos of a run that could not be decoded: told, and listed beside the model."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from pathlib import Path

from veduta.images.limits import printable
from veduta.labels.text_file import neutral
from veduta.records import Failure
from veduta.whole_file import write_whole

#: The file in a run's folder, with the reason of each.
LEFT_OUT = "left_out.csv"

# So many are named in a sentence.
_NAMED = 3


def tell_left_out(
    failures: Sequence[Failure], photos: int, run: Path, note: Callable[[str], None], *, write: bool = True
) -> None:
    """A sentence, and with ``write`` a row for each photo in ``run``; where there are none, the list of an
    earlier run goes.

    Raises OutputError where the file can't be written.
    """
    if not failures:
        if write:
            (run / LEFT_OUT).unlink(missing_ok=True)
        return
    named = ", ".join(printable(each.path) for each in failures[:_NAMED])
    more = " and others" if len(failures) > _NAMED else ""
    note(
        f"{len(failures):,} of {photos:,} photos can't be decoded and are left out: {named}{more}; "
        f"{run / LEFT_OUT} says why."
    )
    if write:
        text = io.StringIO()
        rows = csv.writer(text, lineterminator="\n")
        rows.writerow(("path", "reason"))
        rows.writerows((neutral(printable(each.path)), neutral(printable(each.message))) for each in failures)
        write_whole(run / LEFT_OUT, text.getvalue().encode())
