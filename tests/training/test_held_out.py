"""Answers that were held out, kept and read again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from veduta.errors import OutputError
from veduta.training.held_out import HELD_OUT, HeldOut


def test_they_come_back_as_they_were(tmp_path: Path) -> None:
    answers = HeldOut(np.array([[2, 0], [0, 1]], np.float32), np.array([0, 0], np.int64))
    answers.write(tmp_path / HELD_OUT)
    again = HeldOut.read(tmp_path / HELD_OUT)
    assert (again.logits == answers.logits).all()
    confidence, right = again.answers(temperature=1.0)
    assert confidence == pytest.approx([0.8808, 0.7311], abs=1e-4)
    assert right.tolist() == [True, False]


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x93NUMPY"])
def test_something_else_has_its_sentence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / HELD_OUT).write_bytes(content)
    with pytest.raises(OutputError, match="train anew"):
        HeldOut.read(tmp_path / HELD_OUT)


def test_numbers_of_another_shape_or_none_at_all_have_theirs(tmp_path: Path) -> None:
    for logits, targets in (([[1.0]], [0, 1]), ([1.0], [0]), ([[np.nan]], [0])):
        np.savez(tmp_path / HELD_OUT, logits=np.array(logits, np.float32), targets=np.array(targets))
        with pytest.raises(OutputError, match="no answers that were held out"):
            HeldOut.read(tmp_path / HELD_OUT)
    np.savez(tmp_path / HELD_OUT, logits=np.array([object()]), targets=np.array([0]))
    with pytest.raises(OutputError):
        HeldOut.read(tmp_path / HELD_OUT)
