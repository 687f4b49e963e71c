"""The file of an index: what is put in comes out, what is hostile is refused, and a change happens whole or not."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from veduta.errors import IndexCorrupt, IndexIncompatible, IndexNotFound, LandmarkIndexError, OutputError, UsageError
from veduta.recognition.landmarks.entries import EmbeddingIdentity, Entry, Reference
from veduta.recognition.landmarks.index_file import IndexFile
from veduta.records import Landmark

IDENTITY = EmbeddingIdentity("made", "e" * 32, 4)
TOWER = Landmark("tower/porto", "Tower", "Porto", (41.1, -8.6), (("de", "Turm"), ("zh", "塔")), "own photos")


def unit(*values: float) -> np.ndarray:
    vector = np.array(values, np.float32)
    return vector / np.linalg.norm(vector)


def entry(landmark: Landmark = TOWER, count: int = 2) -> Entry:
    vectors = np.stack([unit(1, place, 0, 0) for place in range(count)])
    photos = tuple(Reference(f"{place}.jpg", f"d{place}", vectors[place], b"jpeg") for place in range(count))
    return Entry(landmark, vectors, photos, 0.75)


@pytest.fixture
def made(tmp_path: Path) -> IndexFile:
    return IndexFile.create(tmp_path / "a.landmarks", IDENTITY)


def test_what_was_put_in_is_there_when_it_is_opened_again(made: IndexFile) -> None:
    other = Landmark("bridge", "Bridge")
    with made.changing():
        made.put(entry())
        made.put(entry(other, 3))
        made.put_others([Reference("x", "d9", unit(0, 0, 1, 0))])
        made.tell("false_alarms", 0.02)
    made.close()
    again = IndexFile(made.file)
    assert again.embedding == IDENTITY
    assert list(again.landmarks()) == [TOWER, other]
    assert again.ids() == ["tower/porto", "bridge"]
    values, starts = again.vectors()
    assert values.shape == (5, 4)
    assert list(starts) == [0, 2]
    np.testing.assert_array_equal(values[:2], entry().vectors)
    assert [each.path for each in again.photos("bridge")] == ["0.jpg", "1.jpg", "2.jpg"]
    assert again.photos("bridge", thumbnails=True)[0].thumbnail == b"jpeg"
    assert again.photos("bridge")[0].thumbnail is None
    assert again.photo_counts() == {"tower/porto": 2, "bridge": 3}
    assert again.outdoor("bridge") == 0.75
    assert again.outdoor("nothing") is None
    assert again.others().shape == (1, 4)
    assert again.told("false_alarms") == 0.02
    assert again.told("nothing") is None


def test_a_landmark_that_is_put_again_takes_its_own_place(made: IndexFile) -> None:
    with made.changing():
        made.put(entry())
        made.put(entry(Landmark("bridge", "Bridge")))
        made.put(entry(TOWER, 3))
    assert made.ids() == ["tower/porto", "bridge"]
    assert made.photo_counts()["tower/porto"] == 3
    with made.changing():
        made.delete("tower/porto")
    assert made.ids() == ["bridge"]
    assert not made.photos("tower/porto")


def test_a_change_that_fails_leaves_the_index_as_it_was(made: IndexFile) -> None:
    with made.changing():
        made.put(entry())
    before = made.file.read_bytes()
    with pytest.raises(RuntimeError):
        _fail_between(made)
    assert made.ids() == ["tower/porto"]
    made.close()
    assert made.file.read_bytes() == before


def _fail_between(index: IndexFile) -> None:
    with index.changing():
        index.put(entry(Landmark("bridge", "Bridge")))
        raise RuntimeError("killed in between")


def test_a_disk_without_room_is_told_and_changes_nothing(made: IndexFile) -> None:
    with made.changing():
        made.put(entry())
    pages = made._connection.execute("PRAGMA page_count").fetchone()[0]
    made._connection.execute(f"PRAGMA max_page_count = {pages}")
    large = Reference("large.jpg", "large", unit(1, 1, 1, 1), bytes(10**6))
    with pytest.raises(OutputError, match="as it was"), made.changing():
        made.put(Entry(Landmark("bridge", "Bridge"), unit(1, 0, 0, 0)[None], (large,)))
    assert made.ids() == ["tower/porto"]


def test_what_is_no_index_is_refused_with_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(IndexNotFound, match="veduta landmarks enroll"):
        IndexFile(tmp_path / "none.landmarks")
    text = tmp_path / "text.landmarks"
    text.write_text("not a database, but long enough to be looked at" * 10)
    with pytest.raises(IndexCorrupt):
        IndexFile(text)
    other = tmp_path / "other.landmarks"
    sqlite3.connect(other).execute("CREATE TABLE meta(key, value)").connection.commit()
    with pytest.raises(IndexCorrupt, match="no index of landmarks"):
        IndexFile(other)
    with pytest.raises(OutputError, match="there already"):
        IndexFile.create(text, IDENTITY)


def test_an_index_of_another_version_is_refused(made: IndexFile) -> None:
    made._connection.execute("PRAGMA user_version = 99")
    made.close()
    with pytest.raises(IndexIncompatible, match="version 99"):
        IndexFile(made.file)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("UPDATE landmarks SET vectors = x'00'", "4 numbers each"),
        ("UPDATE landmarks SET vectors = x''", "4 numbers each"),
        ("UPDATE landmarks SET vectors = zeroblob(16)", "length one"),
        ("UPDATE landmarks SET vectors = x'" + "0000c07f" * 4 + "'", "length one"),
        ("UPDATE landmarks SET vectors = 'text'", "4 numbers each"),
        ("UPDATE landmarks SET latitude = 200", "no position"),
        ("UPDATE landmarks SET names = '['", "can't be used"),
        ("UPDATE landmarks SET name = ''", "can't be used"),
        ("UPDATE landmarks SET name = 7.5, names = '{}', id = zeroblob(3)", "can't be used"),
        ("UPDATE landmarks SET outdoor = 3", "outdoors by"),
        ("UPDATE photos SET embedding = x'0000'", "photo's embedding"),
        ("UPDATE meta SET value = '{}'", "whose embeddings"),
        ('UPDATE meta SET value = \'{"model": "m", "embedding_id": "e", "size": 99999999}\'', "whose embeddings"),
        ("DROP TABLE photos", "other tables"),
        ("UPDATE landmarks SET id = char(27) || ']0;owned'", "printable"),
        ('UPDATE landmarks SET names = \'{"de": "\\ud800"}\'', "printable"),
        ("ALTER TABLE landmarks RENAME TO more; CREATE VIEW landmarks AS SELECT * FROM more", "other tables"),
        (
            "DROP TABLE landmarks; CREATE VIEW landmarks AS WITH RECURSIVE "
            "n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x AS place, 'a' AS id FROM n",
            "other tables",
        ),
    ],
)
def test_hostile_values_are_an_error_of_their_own(made: IndexFile, change: str, words: str) -> None:
    with made.changing():
        made.put(entry())
    made._connection.executescript(change)
    made.close()
    with pytest.raises(LandmarkIndexError, match=words):
        _read_all(made.file)


def _read_all(path: Path) -> None:
    with IndexFile(path) as index:
        index.ids()
        index.photo_counts()
        index.vectors()
        list(index.landmarks())
        index.outdoor("tower/porto")
        index.others()
        index.photos("tower/porto", thumbnails=True)


def test_any_byte_may_be_flipped_and_nothing_but_our_errors_comes_out(made: IndexFile) -> None:
    with made.changing():
        made.put(entry())
        made.put_others([Reference("x", "d9", unit(0, 0, 1, 0))])
    made.close()
    whole = made.file.read_bytes()
    random = np.random.default_rng(0)
    for _ in range(150):
        broken = bytearray(whole)
        for place in random.integers(0, len(whole), 4):
            broken[place] = random.integers(0, 256)
        made.file.write_bytes(bytes(broken))
        with suppress(LandmarkIndexError):
            _read_all(made.file)


def test_the_journal_of_a_killed_process_is_not_played_into_a_new_index(tmp_path: Path) -> None:
    path = tmp_path / "killed.landmarks"
    code = f"""
import os
from pathlib import Path
from veduta.recognition.landmarks.entries import EmbeddingIdentity
from veduta.recognition.landmarks.index_file import IndexFile
index = IndexFile.create(Path({str(path)!r}), EmbeddingIdentity("old", "o" * 32, 4))
connection = index._connection
connection.execute("PRAGMA cache_size = 2")
connection.execute("BEGIN IMMEDIATE")
for number in range(200):
    connection.execute("INSERT INTO meta VALUES (?, ?)", (str(number), "x" * 20000))
os.kill(os.getpid(), 9)
"""
    subprocess.run([sys.executable, "-c", code], check=False)
    journal = path.with_name(f"{path.name}-journal")
    assert journal.is_file()
    left = journal.read_bytes()
    # As it was before: what the killed process had begun is taken back.
    with IndexFile(path) as index:
        assert index.told("1") is None
    journal.write_bytes(left)
    path.unlink()
    with IndexFile.create(path, IDENTITY) as index:
        assert index.embedding == IDENTITY
    assert not journal.exists()


@pytest.mark.parametrize(
    "landmark",
    [
        Landmark("a", "A", "c" * 201),
        Landmark("a", "A", source="s" * 2001),
        Landmark("a", "A", source=""),
        Landmark("a", "A\n"),
        Landmark("a", "A", names=(("de", "\ud800"),)),
    ],
)
def test_what_could_not_be_read_again_is_not_written(made: IndexFile, landmark: Landmark) -> None:
    with pytest.raises(UsageError, match="can't be kept"), made.changing():
        made.put(entry(landmark))
    assert made.ids() == []


def test_a_huge_cell_is_refused_before_it_is_in_memory(made: IndexFile) -> None:
    with made.changing():
        made.put(entry())
    made.close()
    with sqlite3.connect(made.file) as connection:
        connection.execute("UPDATE photos SET thumbnail = zeroblob(50000000)")
    connection.close()
    with IndexFile(made.file) as index, pytest.raises(IndexCorrupt, match="too big"):
        index.thumbnail("tower/porto", "d0")


def test_a_file_that_another_program_keeps_is_told_so(made: IndexFile, monkeypatch: pytest.MonkeyPatch) -> None:
    other = sqlite3.connect(made.file, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    made._connection.execute("PRAGMA busy_timeout = 20")
    with pytest.raises(LandmarkIndexError, match="another program; try again"):
        made.ids()
    other.execute("ROLLBACK")
    other.close()
    assert made.ids() == []


def test_a_picture_is_found_by_its_content_not_by_its_name(made: IndexFile) -> None:
    jpegs = [b"\xff\xd8\xff" + name for name in (b"one", b"two")]
    photos = tuple(Reference("1.jpg", f"d{n}", unit(1, n, 0, 0), jpeg) for n, jpeg in enumerate(jpegs))
    with made.changing():
        made.put(Entry(TOWER, entry().vectors, photos))
    assert [made.thumbnail(TOWER.id, f"d{n}") for n in range(2)] == jpegs
