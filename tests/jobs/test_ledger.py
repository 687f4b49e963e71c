"""The ledger keeps what it was told, and under damage it forgets rather than lies."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from veduta.errors import LedgerError
from veduta.jobs import schema
from veduta.jobs.ledger import Answer, FileState, Ledger, default_path, fingerprint, look_at

RUN = fingerprint({"bundle": "b1", "top_k": 5})
OTHER_RUN = fingerprint({"bundle": "b1", "top_k": 3})


def digest(number: int) -> str:
    return f"{number:032x}"


def state(number: int, *, settled: bool = True) -> FileState:
    return FileState(b"/photos/%d.jpg" % number, 1000 + number, number, number, settled)


def answer(number: int) -> Answer:
    embedding = bytes([number % 256]) * 64 if number % 2 else None
    row = f'{{"scores":[{number}],"filler":"{"x" * 700}"}}'
    return Answer(digest(number), RUN, 1000 + number, "answered", row, embedding, b"map" if number % 3 else None)


def filled(path: Path, count: int) -> Path:
    with Ledger.open(path) as ledger:
        for start in range(0, count, 50):
            numbers = range(start, min(start + 50, count))
            ledger.record([(state(n), digest(n)) for n in numbers], [answer(n) for n in numbers])
    return path


def served_truthfully(ledger: Ledger, count: int) -> int:
    """How many of the rows are served; each served one must be the one that was stored."""
    served = 0
    for number in range(count):
        found = ledger.answer(digest(number), RUN)
        assert found in (None, answer(number))
        assert ledger.digest_of(state(number)) in (None, digest(number))
        assert ledger.answer(digest(number), OTHER_RUN) is None
        served += found is not None
    return served


def test_an_answer_is_found_by_content_and_fingerprint(tmp_path: Path) -> None:
    filled(tmp_path / "ledger.sqlite3", 10)
    with Ledger.open(tmp_path / "ledger.sqlite3") as ledger:
        assert ledger.recovered is None
        assert served_truthfully(ledger, 10) == 10
        assert ledger.answer(digest(11), RUN) is None
        assert ledger.answer(digest(3), OTHER_RUN, RUN) == answer(3)
        failed = Answer(digest(3), OTHER_RUN, 5, "failed", "{}")
        ledger.record([], [failed])
        assert ledger.answer(digest(3), OTHER_RUN, RUN) == failed
        assert ledger.answer(digest(3), RUN, OTHER_RUN) == answer(3)
        assert ledger.had_size(1003)
        assert not ledger.had_size(999)
        ledger.record([], [Answer(digest(50), RUN, 999, "answered", "{}")])
        assert not ledger.had_size(999), "what this run answered shows itself when it is decoded"


def test_an_answer_given_again_replaces_the_first(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.sqlite3") as ledger:
        ledger.record([], [Answer(digest(1), RUN, 5, "failed", "{}")])
        ledger.record([], [Answer(digest(1), RUN, 5, "answered", '{"a":1}')])
        assert ledger.answer(digest(1), RUN) == Answer(digest(1), RUN, 5, "answered", '{"a":1}')


def test_a_changed_file_loses_its_digest_and_an_unsettled_one_never_gets_one(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.sqlite3") as ledger:
        ledger.record([(state(1), digest(1)), (state(2, settled=False), digest(2))], [answer(1), answer(2)])
    with Ledger.open(tmp_path / "ledger.sqlite3") as ledger:
        assert ledger.digest_of(state(1)) == digest(1)
        assert ledger.digest_of(FileState(b"/photos/1.jpg", 1001, 1, 99, True)) is None
        assert ledger.digest_of(state(2)) is None


def test_a_file_is_settled_two_seconds_after_its_last_change(tmp_path: Path) -> None:
    photo = tmp_path / "new.jpg"
    photo.write_bytes(b"x")
    assert not look_at(str(photo)).settled
    assert look_at(sys.executable).settled


def test_names_that_are_no_unicode_are_kept_as_bytes(tmp_path: Path) -> None:
    name = os.fsencode(tmp_path) + b"/caf\xe9\n.jpg"
    try:
        Path(os.fsdecode(name)).write_bytes(b"x")
    except OSError:
        pytest.skip("this file system takes only Unicode names")
    assert look_at(os.fsdecode(name)).path == name


def test_fingerprints_differ_where_any_part_differs() -> None:
    assert RUN != OTHER_RUN
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    assert fingerprint({"a": [1, 2]}) != fingerprint({"a": [2, 1]})


def test_the_default_place_follows_veduta_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VEDUTA_CACHE", str(tmp_path))
    assert default_path() == tmp_path / "ledger.sqlite3"
    with Ledger.open() as ledger:
        assert ledger.path == tmp_path / "ledger.sqlite3"
    assert [entry.name for entry in tmp_path.iterdir()] == ["ledger.sqlite3"]


def test_a_temporary_ledger_answers_and_leaves_nothing() -> None:
    with Ledger.temporary() as ledger:
        ledger.record([], [answer(1)])
        assert ledger.answer(digest(1), RUN) == answer(1)
        assert ledger.path is None


def test_two_runs_share_a_ledger(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.sqlite3") as one, Ledger.open(tmp_path / "ledger.sqlite3") as two:
        one.record([], [answer(1)])
        two.record([], [answer(2)])
        assert one.answer(digest(2), RUN) == answer(2)
        assert two.answer(digest(1), RUN) == answer(1)


@pytest.mark.parametrize("harm", ["cut", "zeroed", "emptied", "not a database", "header zeroed"])
def test_a_damaged_ledger_is_told_kept_aside_and_salvaged(tmp_path: Path, harm: str) -> None:
    path = filled(tmp_path / "ledger.sqlite3", 400)
    whole = path.read_bytes()
    half = len(whole) // 2
    harmed = {
        "cut": whole[:half],
        "zeroed": whole[:half] + bytes(len(whole) - half),
        "emptied": b"",
        "not a database": b"GIF89a" + whole[6:],
        "header zeroed": bytes(100) + whole[100:],
    }[harm]
    path.write_bytes(harmed)
    with Ledger.open(path) as ledger:
        assert ledger.recovered is not None
        assert str(path) in ledger.recovered
        assert "damaged" in ledger.recovered
        served = served_truthfully(ledger, 400)
        if harm in ("cut", "zeroed"):
            assert served > 100
            assert f"{served} answers" in ledger.recovered
        ledger.record([(state(n), digest(n)) for n in range(400)], [answer(n) for n in range(400)])
        assert served_truthfully(ledger, 400) == 400
    assert Path(f"{path}.damaged-1").read_bytes()[: len(harmed)] == harmed
    with Ledger.open(path) as ledger:
        assert ledger.recovered is None
        assert served_truthfully(ledger, 400) == 400


def test_a_second_damage_gets_the_next_number(tmp_path: Path) -> None:
    path = filled(tmp_path / "ledger.sqlite3", 10)
    for number in (1, 2):
        path.write_bytes(b"not a ledger at all")
        Ledger.open(path).close()
        assert Path(f"{path}.damaged-{number}").exists()


def _harmed(whole: bytes, kind: str, chance: random.Random) -> bytes:
    data = bytearray(whole)
    match kind:
        case "cut":
            return bytes(data[: chance.randrange(len(data))])
        case "zeroed":
            count = min(len(data), chance.choice([10, 100, 1000, 4096, 10_000, 65_536]))
            data[-count:] = bytes(count)
        case "flipped":
            for _ in range(chance.choice([1, 5, 50])):
                data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        case "page":
            at = chance.randrange(len(data) // 4096) * 4096
            data[at : at + 4096] = chance.randbytes(4096)
        case _:
            a, b = (chance.randrange(1, len(data) // 4096) * 4096 for _ in range(2))
            data[a : a + 4096], data[b : b + 4096] = data[b : b + 4096], data[a : a + 4096]
    return bytes(data)


@pytest.mark.parametrize("kind", ["cut", "zeroed", "flipped", "page", "swapped"])
def test_no_damage_makes_it_lie_or_crash(tmp_path: Path, kind: str) -> None:
    whole = filled(tmp_path / "whole.sqlite3", 120).read_bytes()
    chance = random.Random(kind)
    noticed = 0
    for round_ in range(25):
        path = tmp_path / f"{round_}.sqlite3"
        path.write_bytes(_harmed(whole, kind, chance))
        with Ledger.open(path) as ledger:
            served_truthfully(ledger, 120)
            ledger.record([(state(n), digest(n)) for n in range(120)], [answer(n) for n in range(120)])
            assert served_truthfully(ledger, 120) == 120
            noticed += ledger.recovered is not None
        with Ledger.open(path) as ledger:
            served_truthfully(ledger, 120)
    print(f"{kind}: {noticed} of 25 harmed ledgers were noticed")
    assert kind != "cut" or noticed == 25


@pytest.mark.parametrize("kind", ["cut", "zeroed", "flipped"])
def test_a_harmed_log_loses_at_most_its_last_answers(tmp_path: Path, kind: str) -> None:
    live = tmp_path / "live.sqlite3"
    chance = random.Random(kind)
    with Ledger.open(live) as ledger:
        for number in range(60):
            ledger.record([(state(number), digest(number))], [answer(number)])
        copies = {suffix: Path(f"{live}{suffix}").read_bytes() for suffix in ("", "-wal", "-shm")}
    for round_ in range(15):
        path = tmp_path / f"{round_}.sqlite3"
        for suffix, data in copies.items():
            harmed = _harmed(data, kind, chance) if suffix == "-wal" or (round_ % 3 == 0 and suffix) else data
            Path(f"{path}{suffix}").write_bytes(harmed)
        with Ledger.open(path) as ledger:
            served_truthfully(ledger, 60)
            ledger.record([], [answer(n) for n in range(60)])
            assert served_truthfully(ledger, 60) == 60


def test_damage_met_in_the_middle_of_a_run_is_recovered_there(tmp_path: Path) -> None:
    path = filled(tmp_path / "ledger.sqlite3", 5000)  # more than SQLite holds in memory
    with Ledger.open(path) as ledger:
        with path.open("r+b") as file:
            file.seek(path.stat().st_size // 2)
            file.write(b"\xff" * (path.stat().st_size // 3))
        assert 0 < served_truthfully(ledger, 5000) < 5000
        ledger.record([], [answer(n) for n in range(5000)])
        assert served_truthfully(ledger, 5000) == 5000
        assert ledger.recovered is not None


def test_a_row_that_was_altered_in_place_is_not_served(tmp_path: Path) -> None:
    path = filled(tmp_path / "ledger.sqlite3", 5)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE answers SET row = replace(row, '[3]', '[4]') WHERE digest = ?", (digest(3),))
    with Ledger.open(path) as ledger:
        assert ledger.answer(digest(3), RUN) is None
        assert ledger.recovered is not None
        assert "checksum" in ledger.recovered
        assert served_truthfully(ledger, 5) == 4


def test_a_ledger_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = filled(tmp_path / "ledger.sqlite3", 1)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE meta SET value = '7', checksum = ?", (schema.checksum("version", "7"),))
    with pytest.raises(LedgerError, match="newer Veduta"):
        Ledger.open(path)
    assert path.exists()


def test_the_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "bookmarks.sqlite3"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE bookmarks(url TEXT)")
    before = path.read_bytes()
    with pytest.raises(LedgerError, match="another program"):
        Ledger.open(path)
    assert path.read_bytes() == before


def test_a_place_that_is_no_folder_or_no_file_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LedgerError, match="can't be opened"):
        Ledger.open(tmp_path / "file" / "ledger.sqlite3")
    with pytest.raises(LedgerError, match="not a file"):
        Ledger.open(tmp_path)


@pytest.fixture
def small_disk(tmp_path: Path):  # type: ignore[no-untyped-def]
    """A file system of one megabyte, where this user may mount one."""
    place = tmp_path / "small"
    place.mkdir()
    if not shutil.which("mount") or os.name != "posix" or os.geteuid() != 0:
        pytest.skip("only root can mount a small disk to fill")
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", place], capture_output=True, check=False
    ).returncode:
        pytest.skip("no file system can be mounted here")
    yield place
    subprocess.run(["umount", place], check=True)


def test_a_full_disk_is_one_sentence_and_the_answers_before_it_stay(small_disk: Path) -> None:
    path = small_disk / "ledger.sqlite3"
    with Ledger.open(path) as ledger:
        written = 0

        def fill() -> None:
            nonlocal written
            for written in range(5000):
                ledger.record([(state(written), digest(written))], [answer(written)])

        with pytest.raises(LedgerError, match="disk is full"):
            fill()
        assert served_truthfully(ledger, written) == written
        assert ledger.recovered is None


def test_a_read_only_place_is_one_sentence(small_disk: Path) -> None:
    path = filled(small_disk / "ledger.sqlite3", 3)
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    with pytest.raises(LedgerError, match=r"VEDUTA_CACHE"):
        Ledger.open(path)
    with pytest.raises(LedgerError, match=r"VEDUTA_CACHE"):
        Ledger.open(small_disk / "another.sqlite3")


@given(st.lists(st.one_of(st.none(), st.binary(), st.integers()), max_size=4), st.data())
def test_no_part_of_a_checksum_passes_for_its_neighbour(parts: list[object], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(parts)))
    assert schema.checksum(*parts) != schema.checksum(*parts[:at], b"", *parts[at:])


def test_a_ledger_that_cannot_be_made_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full_disk(connection: sqlite3.Connection) -> None:
        for suffix in ("-wal", "-shm"):  # as SQLite leaves them where it can't fold its log into the file
            (tmp_path / f"ledger.sqlite3.new-{os.getpid()}{suffix}").touch()
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(schema, "create_tables", full_disk)
    with pytest.raises(LedgerError):
        Ledger.open(tmp_path / "ledger.sqlite3")
    assert not list(tmp_path.iterdir())
