"""The table of landmarks goes to disk and comes back; what is wrong in it is told by its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from veduta.datasets.landmark_table import read_landmark_table, write_landmark_table
from veduta.errors import UsageError
from veduta.records import Landmark

TOWER = Landmark("tower/porto", "Tower, the", "Porto", (41.1, -8.6), (("de", "Turm"), ("zh", "塔")), "Q1")


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    other = Landmark("=cmd", "Bridge")
    write_landmark_table(tmp_path / "t.csv", [("tower--porto", TOWER, "tower", 40), ("bridge", other, "", 0)])
    found = read_landmark_table(tmp_path / "t.csv")
    assert found["tower--porto"] == TOWER
    # Spreadsheets would compute a cell that begins so.
    assert found["bridge"].id.endswith("=cmd")
    assert "\n=cmd" not in (tmp_path / "t.csv").read_text("utf-8")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a,b\n1,2\n", "no table of landmarks"),
        ("", "no table of landmarks"),
        ("label,id,name\nx,x,\n", "line 2"),
        ("label,id,name,latitude,longitude\nx,x,X,91,0\n", "no position"),
        ("label,id,name,latitude,longitude\nx,x,X,1,\n", "no position"),
        ("label,id,name,latitude,longitude\nx,x,X,north,west\n", "no position"),
        ("label,id,name\nx,x,X\ny,x,Y\n", "line 3.*apart by their cities"),
        ("label,id,name\nx,x,X\nx,y,Y\n", "line 3"),
    ],
)
def test_what_is_wrong_is_told_by_its_line(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "t.csv").write_text(text, "utf-8")
    with pytest.raises(UsageError, match=words):
        read_landmark_table(tmp_path / "t.csv")


def test_a_table_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"\xff\xfe\x00")
    for name in ("t.csv", "none.csv"):
        with pytest.raises(UsageError, match="can't be read"):
            read_landmark_table(tmp_path / name)
