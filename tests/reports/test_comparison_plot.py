from __future__ import annotations

import io
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("matplotlib", reason="the extra evaluate is not installed")

from matplotlib.text import Annotation

from veduta.evaluation.comparison import Comparison, Figure, Outcome, Row
from veduta.evaluation.speed import Speed
from veduta.reports import comparison_plot as room
from veduta.reports.comparison_plot import comparison_plot


def _row(
    model: str, size: int, recipe: str, value: float, speed: float, data: str = "set", spread: float = 1.05
) -> Row:
    measured = Speed(speed, speed / spread, speed * spread, size, size, 1, "float32", "openvino", "a machine", 3)
    outcome = Outcome(
        name=f"{model}-{size}-{recipe}",
        data=data,
        task="single_label",
        model=model,
        size=size,
        recipe=recipe,
        classes=10,
        unknown=(),
        failures=0,
        effort=None,
        graph=measured,
        whole_way=measured,
        parameters=1,
        disk_bytes=1,
        bundle="b",
        bundle_id="i",
    )
    return Row(outcome, 100, {"top1": Figure(value, (value - 0.03, min(1.0, value + 0.03)))}, "best", None)


def _grid(seed: int) -> Comparison:
    """Three networks at three sizes by up to three recipes, as crowded as they come."""
    random = np.random.default_rng(seed)
    rows = [
        _row(model, size, recipe, float(random.uniform(0.5, 0.7)), 1e5 / size**1.5 * float(random.uniform(0.9, 1.1)))
        for model in ("small_cnn", "mobilenet_v2", "squeezenet1_1")
        for size in (50, 128, 224)
        for recipe in (("scratch",) if model == "small_cnn" else ("transfer", "finetune"))
    ]
    return Comparison("single_label", tuple(rows), (), len(rows))


def _texts(figure: Any) -> list[Any]:
    """The labels of points."""
    return [child for axes in figure.axes for child in axes.get_children() if isinstance(child, Annotation)]


@pytest.mark.parametrize("seed", range(5))
def test_labels_cover_neither_each_other_nor_a_point(seed: int) -> None:
    figure = room._drawn(_grid(seed))
    boxes = [label.get_window_extent() for label in _texts(figure)]
    assert len(boxes) == 9, "one for each network and size"
    assert not [pair for pair in combinations(boxes, 2) if pair[0].overlaps(pair[1])]
    (axes,) = figure.axes
    points = [axes.transData.transform((1000 / row.outcome.graph.photos_per_second, row.figures["top1"].value))
              for row in _grid(seed).rows]  # fmt: skip
    assert not [point for point in points for box in boxes if box.contains(*point)]
    inside = axes.get_window_extent()
    assert all(inside.x0 <= box.x0 and box.x1 <= inside.x1 for box in boxes)


def test_a_legend_of_long_names_stays_within_the_picture() -> None:
    rows = [
        _row(f"a-model-with-a-long-name-{place}", 32, recipe, 0.5, 10.0 + place)
        for place in range(6)
        for recipe in ("transfer", "finetune")
    ]
    figure = room._drawn(Comparison("single_label", tuple(rows), (), len(rows)))
    (legend,) = figure.legends
    box = legend.get_window_extent()
    assert 0 <= box.x0 < box.x1 <= figure.bbox.width
    words = [text.get_text() for text in legend.get_texts()]
    assert {row.outcome.model for row in rows} | {"transfer", "finetune"} <= set(words)


@pytest.mark.parametrize("count", [1, 2])
def test_finished_models_get_a_panel_for_each_set(count: int) -> None:
    rows = [_row(name, 128, "", 0.6, 50.0, f"set {n}") for n in range(count) for name in ("places100", "_mine$x$")]
    drawn = comparison_plot(Comparison("single_label", tuple(rows), (), len(rows)))
    figure = room._drawn(Comparison("single_label", tuple(rows), (), len(rows)))
    assert len(figure.axes) == count
    assert _texts(figure) == []
    assert Image.open(io.BytesIO(drawn)).format == "PNG"


def test_the_same_comparison_gives_the_same_bytes_and_svg_is_a_picture_too() -> None:
    assert comparison_plot(_grid(0)) == comparison_plot(_grid(0))
    svg = comparison_plot(_grid(0), "svg")
    assert svg == comparison_plot(_grid(0), "svg")
    assert b"<svg" in svg[:2000]


@pytest.mark.parametrize("spread", [1.0, 1.0 + 1e-15, 3.0])
def test_one_point_alone_is_drawn_however_exact_its_speed(spread: float) -> None:
    for speed in (0.01, 4441.0207762402515, 1e6):
        row = _row("a", 32, "scratch", 1.0, speed, spread=spread)
        room._drawn(Comparison("single_label", (row,), (), 1))


def test_nothing_to_draw_is_an_empty_panel() -> None:
    assert comparison_plot(Comparison("single_label", (), (), 3))
