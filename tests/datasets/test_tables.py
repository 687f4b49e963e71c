from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from veduta.datasets.split import hold_out_share
from veduta.datasets.tables import read_label_table
from veduta.errors import UsageError


def _table(folder: Path, text: str, photos: tuple[str, ...] = ("a.jpg", "images/b.jpg")) -> Path:
    for name in photos:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"")
    table = folder / "labels.csv"
    table.write_text(text, encoding="utf-8")
    return table


def test_a_table_gives_paths_labels_and_what_is_present(tmp_path: Path) -> None:
    found = read_label_table(_table(tmp_path, "\ufefffile,sea,trees\na.jpg,0,1\nb.jpg, 1 ,1\n"))
    assert found.labels == ("sea", "trees")
    assert found.paths == (str(tmp_path / "a.jpg"), str(tmp_path / "images" / "b.jpg"))
    assert found.present.tolist() == [[0, 1], [1, 1]]
    assert found.present.dtype == np.float32


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "needs a header"),
        ("file,sea\n", "a row for each photo"),
        ("file\na.jpg\n", "needs a header"),
        ("file,sea,sea\na.jpg,0,1\n", "once"),
        ("file,sea,\na.jpg,0,1\n", "once"),
        ("file,sea\na.jpg,2\n", "line 2"),
        ("file,sea\na.jpg,1\na.jpg\n", "line 3"),
        ("file,sea\na.jpg,1,1\n", "line 2"),
        ("file,sea\ngone.jpg,1\n", "gone.jpg"),
        ("file,sea\n,1\n", "line 2"),
        ("file,sea\n" + "a" * 200_000 + ",1\n", "can't be read"),
    ],
)
def test_a_table_that_is_not_as_its_header_says_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        read_label_table(_table(tmp_path, text))


def test_blank_lines_are_passed_over_and_lines_keep_their_numbers(tmp_path: Path) -> None:
    found = read_label_table(_table(tmp_path, "file,sea\n\na.jpg,1\n\n"))
    assert found.present.tolist() == [[1]]
    with pytest.raises(UsageError, match="line 4"):
        read_label_table(_table(tmp_path, "file,sea\n\na.jpg,1\nb.jpg,7\n"))
    with pytest.raises(UsageError, match="no photo"):
        read_label_table(_table(tmp_path, "file,sea\n\n\n"))


def test_many_blank_lines_under_many_labels_take_no_memory(tmp_path: Path) -> None:
    # All of them as numbers would be 40 GB.
    header = ",".join(["file", *map(str, range(10_000))])
    with pytest.raises(UsageError, match="line 1000002"):
        read_label_table(_table(tmp_path, header + "\n" * 1_000_001 + "a.jpg,1\n"))


def test_a_name_that_is_too_long_for_a_file_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"line 2 .*neither beside the table"):
        read_label_table(_table(tmp_path, f"file,sea\n{'a' * 300}.jpg,1\n"))


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(UsageError, match="UTF-8"):
        read_label_table(tmp_path / "labels.csv")
    with pytest.raises(UsageError, match=r"none\.csv"):
        read_label_table(tmp_path / "none.csv")


@pytest.mark.parametrize("share", [0.1, 0.3])
def test_each_class_keeps_its_share(share: float) -> None:
    targets = np.repeat(np.arange(3), (20, 50, 100))
    held = hold_out_share(targets, share, 7)
    assert np.bincount(targets[held]).tolist() == [round(share * count) for count in (20, 50, 100)]
    assert (held == hold_out_share(targets, share, 7)).all()
    assert (held != hold_out_share(targets, share, 8)).any()


def test_rare_labels_are_on_both_sides() -> None:
    random = np.random.default_rng(0)
    targets = (random.random((300, 5)) < [0.5, 0.3, 0.1, 0.05, 0.02]).astype(np.float32)
    held = hold_out_share(targets, 0.2, 0)
    assert 0.15 < held.mean() < 0.25
    for label in range(5):
        here, there = targets[held, label].sum(), targets[:, label].sum()
        assert 1 <= here < there
        assert abs(here - 0.2 * there) <= max(2, 0.05 * there)


@given(arrays(np.bool_, st.tuples(st.integers(8, 24), st.integers(1, 8))), st.integers(0, 99))
def test_no_label_is_held_out_whole(present: np.ndarray, seed: int) -> None:
    try:
        held = hold_out_share(present.astype(np.float32), 0.25, seed)
    except UsageError:
        return
    assert present[~held].any(axis=0)[present.any(axis=0)].all()


def test_a_class_of_two_photos_has_one_on_each_side_and_a_single_one_is_trained_on() -> None:
    held = hold_out_share(np.array([0, 0, 1, 2, 2, 2, 2]), 0.15, 0)
    assert held[:2].sum() == 1
    assert not held[2]
    assert held[3:].sum() == 1


@pytest.mark.parametrize(("targets", "share"), [([0, 1], 0.2), ([0, 0, 1, 1], 0.0), ([0, 0], 1.0)])
def test_what_can_not_be_held_out_is_refused(targets: list[int], share: float) -> None:
    with pytest.raises(UsageError):
        hold_out_share(np.array(targets), share, 0)
