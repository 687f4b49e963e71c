from __future__ import annotations

import json
import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch", reason="the extra train is not installed")

from veduta.errors import OutputError
from veduta.training.run_folder import BEST, CHECKPOINT, RunFolder, bytes_of


@contextmanager
def _files_of_at_most(size: int) -> Iterator[None]:
    """The system refuses every byte of a file past ``size``, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_disk_that_fills_up_leaves_the_checkpoint_before_and_one_sentence(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.save(CHECKPOINT, {"step": 1})
    with _files_of_at_most(100_000), pytest.raises(OutputError, match=r"checkpoint\.pt can't be written .*make room"):
        folder.save(CHECKPOINT, {"step": 2, "weights": torch.zeros(100_000)})
    assert folder.load(CHECKPOINT) == {"step": 1}
    assert [path.name for path in tmp_path.iterdir()] == [CHECKPOINT]


def test_a_folder_that_can_not_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file/run can't be made"):
        RunFolder(tmp_path / "file" / "run").make()


def test_a_run_that_goes_on_needs_no_room_for_what_it_already_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = RunFolder(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(free=20_000_000))
    with pytest.raises(OutputError, match="needs 24 MB"):
        folder.check_room(8_000_000, 2_000_000)
    (tmp_path / CHECKPOINT).write_bytes(b"\0" * 8_000_000)
    (tmp_path / BEST).write_bytes(b"\0" * 2_000_000)
    folder.check_room(8_000_000, 2_000_000)


def test_what_is_saved_comes_back(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    state = {"weights": torch.arange(3), "history": [{"epoch": 1, "loss": 0.5}], "best": None, "name": "x"}
    folder.save(CHECKPOINT, state)
    found = folder.load(CHECKPOINT)
    assert torch.equal(found.pop("weights"), torch.arange(3))
    assert found == {key: state[key] for key in ("history", "best", "name")}
    assert bytes_of({"a": torch.zeros(3), "b": torch.zeros(2, dtype=torch.int64)}) == 28


def test_a_log_is_written_anew_with_a_row_for_each_epoch(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.write_log([{"epoch": 1}])
    folder.write_log([{"epoch": 1}, {"epoch": 2}])
    assert [json.loads(line)["epoch"] for line in (tmp_path / "log.jsonl").read_text().splitlines()] == [1, 2]
