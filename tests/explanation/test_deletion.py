from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from veduta.errors import UsageError
from veduta.explanation.deletion import (
    deletion_drop,
    hottest,
    moved,
    random_block,
    random_block_drop,
    removal_drops,
)
from veduta.explanation.saliency import heat_maps, log_probabilities, map_preprocessing
from veduta.images.preprocess import prepare
from veduta.models.bundle import Bundle
from veduta.models.session import Session


@given(st.integers(8, 300), st.integers(8, 300), st.integers(0, 1000))
def test_a_random_block_is_a_rectangle_of_that_area(width: int, height: int, seed: int) -> None:
    block = random_block((width, height), 0.2, np.random.default_rng(seed))
    rows, columns = np.flatnonzero(block.any(axis=1)), np.flatnonzero(block.any(axis=0))
    assert block.sum() == (rows[-1] - rows[0] + 1) * (columns[-1] - columns[0] + 1)
    assert abs(block.sum() - 0.2 * width * height) <= max(rows.size, columns.size)


@pytest.mark.parametrize("edges", ["smooth", "cells"])
def test_the_hottest_part_has_exactly_that_many_pixels(edges: str) -> None:
    values = np.random.default_rng(0).random((7, 9), dtype=np.float32)
    assert hottest(values, (90, 70), 0.2, edges).sum() == 1260  # type: ignore[arg-type]


def test_a_moved_map_has_the_same_values_elsewhere() -> None:
    values = np.random.default_rng(0).random((7, 9), dtype=np.float32)
    turned = moved(values, np.random.default_rng(1))
    assert sorted(turned.ravel()) == sorted(values.ravel())
    assert not np.array_equal(turned, values)


@pytest.mark.parametrize("fill", ["mean", "blur"])
def test_removing_what_decides_costs_more_than_a_random_block(corner_bundle: Bundle, fill: str) -> None:
    session = Session(corner_bundle.graph, threads=1)
    pixels = np.full((64, 64, 3), 90, np.uint8)
    pixels[:32, :32] = (255, 0, 0)
    values, _ = heat_maps(session, corner_bundle, pixels[None], [1])
    drop = deletion_drop(session, corner_bundle, pixels, values[0], 1, fill=fill)  # type: ignore[arg-type]
    rivals = [
        random_block_drop(session, corner_bundle, pixels, 1, np.random.default_rng(seed), fill=fill)  # type: ignore[arg-type]
        for seed in range(8)
    ]
    assert drop > 0.0
    assert drop > np.mean(rivals)


def test_a_fraction_that_is_none_is_refused() -> None:
    with pytest.raises(UsageError, match=r"fraction 1\.5"):
        hottest(np.zeros((2, 2), np.float32), (4, 4), 1.5)


@pytest.mark.slow
def test_maps_of_a_real_network_mark_what_matters(squeezenet: Bundle, shared_data: Path) -> None:
    """Prints the figures of docs/heat-maps.md on a smaller sample; the whole is measured by `make bench`."""
    session = Session(squeezenet.graph, threads=1)
    files = sorted((shared_data / "sun27").glob("*/*"))
    rng = np.random.default_rng(5)
    wins = []
    for index in rng.permutation(len(files))[:40]:
        with Image.open(files[index]) as image:
            pixels, _ = prepare(image.convert("RGB"), map_preprocessing(squeezenet), image.size)
        label = int(log_probabilities(session.run(pixels[None], ["logits"])["logits"], squeezenet.heads[0]).argmax())
        values, _ = heat_maps(session, squeezenet, pixels[None], [label])
        size = pixels.shape[1], pixels.shape[0]
        regions = [hottest(values[0], size, 0.2), hottest(values[0], size, 0.2, "cells")]
        regions += [random_block(size, 0.2, rng) for _ in range(3)]
        regions += [hottest(moved(values[0], rng), size, 0.2) for _ in range(3)]
        drops = removal_drops(session, squeezenet, pixels, label, np.stack(regions))
        wins.append([(drops[0] > drops[2:5]).mean(), (drops[1] > drops[2:5]).mean(), (drops[0] > drops[5:8]).mean()])
    shown, cells, elsewhere = np.mean(wins, axis=0)
    print(f"top fifth hurts more: as shown {shown:.3f}, in cells {cells:.3f}, than moved {elsewhere:.3f}")
    assert shown > 0.65
    assert cells > 0.8
    assert elsewhere > 0.75
