"""The lists of classes: carried over whole, and a user's list read under limits with a sentence for each mistake."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest

from veduta.errors import UsageError
from veduta.labels import categories
from veduta.labels.categories import known_labels, places100, places365, read_labels_csv
from veduta.records import Label


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / "classes.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_places365_has_the_365_categories_in_their_order() -> None:
    labels = places365()
    assert len(labels) == 365
    assert labels[0].id == "airfield"
    assert labels[364].id == "zen_garden"
    assert {label.environment for label in labels} == {"indoor", "outdoor"}


def test_places100_has_100_categories_of_which_four_are_not_among_the_365() -> None:
    assert len(places100()) == 100
    only_there = [label.id for label in places100() if label.id not in {label.id for label in places365()}]
    assert only_there == ["abbey", "monastery/outdoor", "temple/east_asia", "track/outdoor"]
    assert [label.id for label in known_labels()] == [label.id for label in places365()] + only_there


def test_a_category_of_both_lists_is_the_same_label_in_both() -> None:
    by_id = {label.id: label for label in places365()}
    assert all(by_id.get(label.id, label) == label for label in places100())


def test_the_lists_are_those_of_the_shared_data(shared_data: Path) -> None:
    for name, labels in (("places365", places365()), ("places100", places100())):
        with (shared_data / "labels" / f"{name}.csv").open(newline="", encoding="utf-8") as file:
            told = [(row["name"], row["environment"]) for row in csv.DictReader(file)]
        assert [(label.id, label.environment) for label in labels] == told


def test_the_places_list_of_the_shared_data_reads_like_the_shipped_one(shared_data: Path) -> None:
    assert read_labels_csv(shared_data / "labels" / "places365.csv") == places365()
    assert read_labels_csv(shared_data / "labels" / "places100.csv") == places100()


def test_a_list_may_have_ids_names_or_both(tmp_path: Path) -> None:
    assert read_labels_csv(write(tmp_path, "id\nred_barn\nblue_barn/old\n")) == (
        Label("red_barn", "red barn"),
        Label("blue_barn/old", "blue barn (old)"),
    )
    assert read_labels_csv(write(tmp_path, "name\nred_barn\n")) == (Label("red_barn", "red_barn"),)
    assert read_labels_csv(write(tmp_path, "id,name\nkitchen,Our Kitchen\n")) == (Label("kitchen", "Our Kitchen"),)


def test_an_environment_may_be_left_empty(tmp_path: Path) -> None:
    labels = read_labels_csv(write(tmp_path, "id,environment\ncat,\nroom,indoor\nroof,outdoor\n"))
    assert [label.environment for label in labels] == [None, "indoor", "outdoor"]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(b"\xef\xbb\xbfid\r\ncat\r\ndog\r\n", id="byte order mark and Windows line ends"),
        pytest.param(b"id\n\ncat\n\ndog\n\n", id="blank lines"),
        pytest.param(b"id,note\ncat,purrs\ndog,barks\n", id="a column that means nothing here"),
        pytest.param(b'index,id\n0,"cat"\n1, dog \n', id="quotes, spaces and an index"),
        pytest.param(b"id\ncat\ndog", id="no line end at the end"),
    ],
)
def test_a_list_is_read_alike_however_it_was_saved(tmp_path: Path, text: bytes) -> None:
    assert [label.id for label in read_labels_csv(write(tmp_path, text))] == ["cat", "dog"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        pytest.param("", "no column 'id' or 'name'", id="empty file"),
        pytest.param("cat\ndog\n", "no column 'id' or 'name' in its first line", id="no header"),
        pytest.param("id,id\ncat,cat\n", "has the column 'id' twice", id="column twice"),
        pytest.param("id,enviroment\ncat,\n", "column 'enviroment'; write 'environment'", id="misspelt column"),
        pytest.param("id,Environment\ncat,\n", "column 'Environment'; write 'environment'", id="capital letter"),
        pytest.param("id\n", "no classes below its header", id="header alone"),
        pytest.param("id\ncat\ncat\n", "line 3: the row has the class 'cat' a second time", id="class twice"),
        pytest.param("id,environment\ncat\n", "line 2: the row has 1 cells, but the header has 2", id="cell missing"),
        pytest.param("id\ncat,dog\n", "line 2: the row has 2 cells, but the header has 1", id="cell too many"),
        pytest.param("id,environment\ncat,inside\n", "environment 'inside'; write indoor, outdoor", id="environment"),
        pytest.param("id,environment\ncat,Indoor\n", "environment 'Indoor'", id="environment with a capital letter"),
        pytest.param("id,name\n,cat\n", "write 1 to 1000 printable characters", id="empty id"),
        pytest.param("id,name\ncat,\n", "write 1 to 1000 printable characters", id="empty name"),
        pytest.param("id\nc\x1bat\n", r"name 'c\x1bat'", id="control character"),
        pytest.param('id\n"c\nat"\n', r"name 'c\nat'", id="line end within an id"),
        pytest.param("id\n" + "x" * 1001 + "\n", "write 1 to 1000 printable characters", id="id too long"),
        pytest.param("index,id\n0,cat\n2,dog\n", "line 3: the row has the index '2' where 1 is due", id="index jumps"),
        pytest.param("index,id\n1,cat\n", "has the index '1' where 0 is due; count up from 0", id="index from one"),
        pytest.param('id\n"cat\n', "not readable as CSV", id="quote left open"),
        pytest.param("id\n" + "x" * 200_000 + "\n", "not readable as CSV", id="cell beyond the parser's limit"),
        pytest.param(b"id\nc\xe4t\n", "not UTF-8 at byte 4; save it again", id="Latin 1"),
        pytest.param("id\ncat\n".encode("utf-16"), "not UTF-8 at byte 0", id="UTF-16"),
    ],
)
def test_a_list_with_a_mistake_is_refused_with_a_sentence(tmp_path: Path, text: str | bytes, sentence: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(UsageError) as caught:
        read_labels_csv(path)
    told = str(caught.value)
    assert told.startswith(str(path))
    assert sentence in told
    assert "\n" not in told


def test_a_list_over_a_limit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, "id\ncat\ndog\n")
    monkeypatch.setattr(categories, "MAX_LABELS", 1)
    with pytest.raises(UsageError, match="more than 1 classes"):
        read_labels_csv(path)
    monkeypatch.setattr(categories, "MAX_LIST_BYTES", 10)
    with pytest.raises(UsageError, match="larger than the limit of 10 bytes"):
        read_labels_csv(path)


def test_a_path_that_is_no_readable_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"There is no file .*absent.csv; check the path"):
        read_labels_csv(tmp_path / "absent.csv")
    with pytest.raises(UsageError, match="is not a file"):
        read_labels_csv(tmp_path)
    with pytest.raises(UsageError, match="can't be read"):
        read_labels_csv(Path("zero\0byte.csv"))
    with pytest.raises(UsageError, match=r"There is no file .*line\\nbreak"):
        read_labels_csv(tmp_path / "line\nbreak")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no named pipes in folders")
def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.csv"
    os.mkfifo(pipe)
    with pytest.raises(UsageError, match="is not a file"):
        read_labels_csv(pipe)


def test_importing_the_labels_reads_no_file_of_theirs() -> None:
    script = """
import sys
opened = []
sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == "open" else None)
import veduta.labels.categories, veduta.labels.taxonomy, veduta.labels.translations
print([path for path in opened if path.endswith((".csv", ".tsv", ".toml"))])
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
