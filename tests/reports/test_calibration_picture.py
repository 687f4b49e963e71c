from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from veduta.errors import OutputError
from veduta.evaluation.calibration import ReliabilityBin, reliability_bins
from veduta.reports.calibration import calibration_picture, calibration_png, calibration_rows
from veduta.reports.themes import DARK, LIGHT


def test_the_picture_shows_bins_and_the_same_bins_give_the_same_bytes(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the extra evaluate is not installed")
    random = np.random.default_rng(0)
    said = random.random(500)
    bins = reliability_bins(said, random.random(500) < said)
    first = calibration_picture(bins, tmp_path / "new" / "first.png", "made")
    second = calibration_picture(bins, tmp_path / "second.png", "made")
    assert first.read_bytes() == second.read_bytes()
    with Image.open(first) as picture:
        assert min(picture.size) > 600
        assert len(picture.convert("RGB").getcolors(2**20) or []) > 20
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="file"):
        calibration_picture(bins, tmp_path / "file" / "x.png")


def test_a_picture_for_a_dark_page_is_clear_and_has_other_colours() -> None:
    pytest.importorskip("matplotlib", reason="the extra evaluate is not installed")
    bins = reliability_bins(np.array([0.2, 0.9]), np.array([False, True]))
    dark, light = (
        np.asarray(Image.open(io.BytesIO(calibration_png(bins, theme=theme))).convert("RGBA"))
        for theme in (DARK, LIGHT)
    )
    assert dark[..., 3].min() == light[..., 3].min() == 0
    inks = [tuple(int(theme.ink[place : place + 2], 16) for place in (1, 3, 5)) for theme in (DARK, LIGHT)]
    assert [(drawn[..., :3] == ink).all(axis=2).any() for drawn in (dark, light) for ink in inks] == [1, 0, 0, 1]


def test_the_picture_of_no_photos_is_empty_and_not_an_error(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the extra evaluate is not installed")
    none = reliability_bins(np.empty(0), np.empty(0, bool))
    assert calibration_picture(none, tmp_path / "none.png").stat().st_size > 0
    assert calibration_rows(none) == []


def test_a_row_is_filled_to_the_share_right_and_marked_at_the_probability() -> None:
    bold = ReliabilityBin(0.8, 1.0, 1200, 0.9, 0.5, (0.47, 0.53))
    timid = ReliabilityBin(0.2, 0.4, 10, 0.3, 1.0, (0.72, 1.0))
    rows = calibration_rows([timid, bold], width=10)
    assert rows[0] == ("20 – 40 %", "10", "30.0%", "100.0%", "72% – 100%", "███┃███████")
    assert rows[1] == ("80 – 100 %", "1,200", "90.0%", "50.0%", "47% – 53%", "█████░░░░┃░")
