from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from veduta.records import Label
from veduta.reports.confusion import confusion_png
from veduta.reports.dataset import class_plot
from veduta.reports.themes import DARK, LIGHT

pytest.importorskip("matplotlib", reason="the extra evaluate is not installed")

LABELS = tuple(Label(f"place_{number}", f"place\n{number}" * 9, coarse=f"kind_{number % 3}") for number in range(12))


def opened(png: bytes) -> Image.Image:
    return Image.open(io.BytesIO(png)).convert("RGBA")


def test_right_answers_and_mistakes_have_colours_of_their_own_and_the_same_matrix_the_same_bytes() -> None:
    matrix = np.diag(np.full(12, 9))
    clean = confusion_png(matrix, LABELS, theme=LIGHT)
    assert clean == confusion_png(matrix, LABELS, theme=LIGHT)
    matrix[2, 7] = 9
    red = tuple(int(LIGHT.bad[place : place + 2], 16) for place in (1, 3, 5))

    def reds(png: bytes) -> int:
        pixels = np.asarray(opened(png))
        return int((np.abs(pixels[..., :3].astype(int) - red).max(axis=2) < 3).sum())

    assert reds(clean) == 0
    assert reds(confusion_png(matrix, LABELS, theme=LIGHT)) > 200
    assert confusion_png(matrix, LABELS, theme=DARK) != confusion_png(matrix, LABELS, theme=LIGHT)


def test_a_page_sees_through_the_picture_and_classes_without_photos_are_one_column() -> None:
    labels = [Label(str(number), str(number)) for number in range(60)]
    few = np.zeros((60, 60), int)
    few[0, 0], few[1, 5] = 3, 2
    picture = opened(confusion_png(few, labels, theme=DARK))
    assert np.asarray(picture)[..., 3].min() == 0
    everyone = opened(confusion_png(np.diag(np.full(60, 9)), labels, theme=DARK))
    assert picture.size < everyone.size


def test_very_many_classes_are_drawn_without_their_names() -> None:
    labels = [Label(str(number), str(number)) for number in range(300)]
    assert max(opened(confusion_png(np.eye(300, dtype=int), labels)).size) < 2500


def test_a_name_with_dollars_is_no_formula() -> None:
    labels = (Label("$_$", "$_$"), Label("a$b$", "$\\foo$"))
    assert confusion_png(np.eye(2, dtype=np.int64), labels, theme=LIGHT)
    assert class_plot({"$_$": 3, "$\\foo$": 2})
