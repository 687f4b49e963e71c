from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from veduta.errors import OutputError
from veduta.evaluation.calibration import ReliabilityBin, reliability_bins
from veduta.reports.calibration import calibration_picture, calibration_rows


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
