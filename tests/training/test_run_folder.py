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

from veduta.errors import OutputError, TrainingError
from veduta.training.run_folder import BEST, CHECKPOINT, VERSION, RunFolder, bytes_of


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


def test_one_training_at_a_time_holds_the_folder_and_leaves_nothing_in_it(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    with folder.locked():
        said = r"another training is at work in .*; wait until it has ended"
        with pytest.raises(TrainingError, match=said), RunFolder(tmp_path).locked():
            pytest.fail("both are at work")
        assert not [*tmp_path.iterdir()]
    with folder.locked():
        pass


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"learning_rate": 0.2}, "learning_rate 0.1, not 0.2"),
        ({"start weights": "SHA-256 12"}, "start weights none, not SHA-256 12"),
        ({"photos": "ff"}, "begun with other photos"),
    ],
    ids=["setting", "weights", "photos"],
)
def test_what_differs_from_the_run_that_was_begun_is_named(
    tmp_path: Path, changed: dict[str, float], said: str
) -> None:
    schedule = {"learning_rate": 0.1}
    facts = {"start weights": "none", "photos": "aa"}
    saved = {"version": VERSION, "schedule": schedule, "begun_with": facts}
    folder = RunFolder(tmp_path)
    folder.check_same_run(saved, schedule, facts)
    with pytest.raises(TrainingError, match=said):
        folder.check_same_run(
            saved,
            schedule | {key: value for key, value in changed.items() if key in schedule},
            facts | {key: value for key, value in changed.items() if key in facts},
        )
