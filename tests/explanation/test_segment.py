from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from veduta.errors import UsageError
from veduta.explanation.segment import region, segmentation, side_by_side


def half() -> np.ndarray:
    values = np.zeros((8, 8), np.float32)
    values[:, 4:] = 1.0
    return values


def test_the_region_is_where_the_map_reaches_the_threshold() -> None:
    inside = region(half(), (80, 80), 0.5)
    assert inside[:, 45:].all()
    assert not inside[:, :35].any()
    assert region(half(), (80, 80), 0.0).all()


def test_outside_of_the_region_the_photo_is_dimmed_and_a_line_parts_them() -> None:
    photo = Image.new("RGB", (80, 80), (200, 120, 60))
    picture = np.asarray(segmentation(photo, region(half(), (80, 80), 0.5)))
    assert tuple(picture[40, 70]) == (200, 120, 60)
    assert picture[40, 5].max() < 80
    edge = region(half(), (80, 80), 0.5)[40].argmax()
    assert tuple(picture[40, edge]) == (255, 214, 66)


def test_the_border_of_the_photo_is_no_edge_of_the_region() -> None:
    photo = Image.new("RGB", (30, 20), (200, 120, 60))
    picture = segmentation(photo, np.ones((20, 30), bool))
    assert np.array_equal(np.asarray(picture), np.asarray(photo))


def test_pictures_stand_in_a_row_with_a_gap() -> None:
    row = side_by_side([Image.new("RGB", (30, 20)), Image.new("RGB", (30, 20)), Image.new("RGB", (30, 20))])
    assert row.size == (30 * 3 + 4 * 2, 20)


def test_a_threshold_out_of_range_is_refused() -> None:
    with pytest.raises(UsageError, match="threshold 2"):
        region(half(), (10, 10), 2)
