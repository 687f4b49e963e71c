from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray

from veduta.errors import BundleIncompatible, UsageError
from veduta.explanation.saliency import (
    Method,
    OcclusionGrid,
    heat_maps,
    log_probabilities,
    map_preprocessing,
    network_weights,
)
from veduta.images.preprocess import Preprocessing
from veduta.models.bundle import Bundle, Head
from veduta.models.session import Session
from veduta.records import Label

GREEN, RED = (0, 255, 0), (255, 0, 0)


def bundle_of(
    side: int,
    class_maps: str | None = "class_maps",
    *,
    weights: Path | None = None,
    architecture: str | None = "resnet18",
) -> Bundle:
    head = Head("scenes", "single_label", (Label("a", "a"), Label("b", "b")), class_maps=class_maps)
    preprocessing = Preprocessing("crop", ((side, side),), "bilinear", side)
    return cast(
        Bundle,
        SimpleNamespace(
            path=Path("fake"),
            preprocessing=preprocessing,
            heads=(head,),
            weights=weights,
            architecture=architecture,
            bundle_id="fake-id",
        ),
    )


class FixedMaps:
    """A maker of maps that are known."""

    method: Method = "grad-cam"

    def __init__(self, raw: NDArray[np.float64], bundle_id: str = "fake-id") -> None:
        self.raw, self.bundle_id = raw, bundle_id
        self.asked: list[tuple[tuple[int, ...], list[int]]] = []

    def maps(self, pixels: NDArray[np.uint8], label_indices: Sequence[int]) -> NDArray[np.float64]:
        self.asked.append((pixels.shape, list(label_indices)))
        return self.raw


class FakeSession:
    """Answers with fixed outputs and counts the images that it saw."""

    def __init__(self, **outputs: NDArray[np.float32]) -> None:
        self.outputs, self.seen = outputs, 0

    def run(self, images: NDArray[np.uint8], outputs: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        self.seen += len(images)
        return {name: np.broadcast_to(self.outputs[name], (len(images), *self.outputs[name].shape)) for name in outputs}


def photo(side: int, box: tuple[slice, slice], inside: tuple[int, int, int]) -> NDArray[np.uint8]:
    pixels = np.full((side, side, 3), (90, 90, 90), np.uint8)
    pixels[box] = inside
    return pixels


@pytest.mark.parametrize("side", [96, 128, 160, 224, 256, 299])
def test_map_sizes_cost_at_most_two_and_a_quarter_times_the_input_and_cover_many_aspects(side: int) -> None:
    wanted = map_preprocessing(bundle_of(side))
    assert wanted.fit == "stretch"
    for height, width in wanted.sizes:
        assert height % 32 == width % 32 == 0
        assert side * side < height * width <= 2.25 * side * side
    aspects = sorted(width / height for height, width in wanted.sizes)
    assert aspects[0] <= 0.55
    assert aspects[-1] >= 1.8
    assert 1.0 in aspects
    # What is compiled for each size must fit into a session beside the size for tagging.
    assert len(wanted.sizes) <= 5


def test_the_sizes_for_128_pixels_are_these() -> None:
    assert set(map_preprocessing(bundle_of(128)).sizes) == {(192, 192), (160, 224), (224, 160), (128, 256), (256, 128)}


def test_a_graph_without_class_maps_is_asked_at_its_own_size() -> None:
    assert map_preprocessing(bundle_of(128, None)).sizes == ((128, 128),)


def test_a_model_without_classes_can_not_be_explained() -> None:
    bundle = cast(Bundle, SimpleNamespace(path=Path("fake"), heads=()))
    with pytest.raises(BundleIncompatible, match="no classes to explain"):
        map_preprocessing(bundle)


def test_class_maps_point_to_the_region_that_decides(colour_bundle: Bundle) -> None:
    session = Session(colour_bundle.graph, threads=1)
    pixels = photo(96, (slice(64, 96), slice(0, 32)), RED)
    values, method = heat_maps(session, colour_bundle, pixels[None], [1])
    assert method == "class maps"
    assert values.shape == (1, 12, 12)
    assert values.dtype == np.float32
    assert values[0, 8:, :4].min() == pytest.approx(1.0)
    assert values[0, :8, :].max() == pytest.approx(0.0)


def test_labels_that_do_not_compete_keep_their_own_maps(many_colours_bundle: Bundle) -> None:
    session = Session(many_colours_bundle.graph, threads=1)
    pixels = photo(96, (slice(0, 48), slice(0, 96)), (255, 255, 0))
    values, _ = heat_maps(session, many_colours_bundle, pixels[None], [1])
    assert values[0, :6].min() == pytest.approx(1.0)


def test_occlusion_points_to_the_region_that_decides(corner_bundle: Bundle) -> None:
    session = Session(corner_bundle.graph, threads=1)
    pixels = photo(64, (slice(0, 32), slice(0, 32)), RED)
    values, method = heat_maps(session, corner_bundle, pixels[None], [1])
    assert method == "occlusion"
    assert values.shape == (1, 8, 8)
    assert values[0, :3, :3].mean() > 0.8
    assert values[0, 5:, :].max() == values[0, :, 5:].max() == 0.0


def test_occlusion_is_there_for_a_graph_with_class_maps_too(colour_bundle: Bundle) -> None:
    session = Session(colour_bundle.graph, threads=1)
    pixels = photo(96, (slice(64, 96), slice(0, 32)), RED)
    values, method = heat_maps(session, colour_bundle, pixels[None], [1], method="occlusion")
    assert method == "occlusion"
    top, left = np.unravel_index(values[0].argmax(), values[0].shape)
    assert top >= 5
    assert left <= 2


def test_occlusion_takes_as_many_passes_as_it_says() -> None:
    session = FakeSession(logits=np.array([1.0, 0.0], np.float32))
    grid = OcclusionGrid(cells=5, window=2)
    heat_maps(session, bundle_of(64, None), np.zeros((1, 64, 64, 3), np.uint8), [0], grid=grid)
    assert session.seen == grid.passes == 17


def test_a_map_of_one_value_is_all_zero() -> None:
    session = FakeSession(logits=np.array([1.0, 0.0], np.float32))
    values, _ = heat_maps(session, bundle_of(64, None), np.zeros((1, 64, 64, 3), np.uint8), [0])
    assert not values.any()


def test_where_all_speaks_against_the_class_the_map_is_relative() -> None:
    maps = np.zeros((2, 2, 2), np.float32)
    maps[1] = [[-4, -3], [-2, -1]]
    session = FakeSession(logits=maps.mean((1, 2)), class_maps=maps)
    values, _ = heat_maps(session, bundle_of(64), np.zeros((1, 64, 64, 3), np.uint8), [1])
    assert values[0].ravel() == pytest.approx([0, 1 / 3, 2 / 3, 1])


def test_maps_of_a_maker_are_brought_to_the_same_scale_and_the_graph_is_not_run() -> None:
    session = FakeSession()
    maker = FixedMaps(np.array([[[0.0, 2.0], [4.0, 8.0]], [[0.0, 0.0], [0.0, 0.0]]]))
    values, method = heat_maps(session, bundle_of(64), np.zeros((2, 64, 64, 3), np.uint8), [1, 0], method=maker)
    assert method == "grad-cam"
    assert values.dtype == np.float32
    assert values.reshape(2, 4).tolist() == [[0, 0.25, 0.5, 1], [0, 0, 0, 0]]
    assert maker.asked == [((2, 64, 64, 3), [1, 0])]
    assert session.seen == 0


def test_a_maker_for_another_model_is_refused_before_it_is_asked() -> None:
    maker = FixedMaps(np.zeros((1, 2, 2)), "other-id")
    with pytest.raises(UsageError, match="maker of grad-cam was made for another model than fake"):
        heat_maps(FakeSession(), bundle_of(64), np.zeros((1, 64, 64, 3), np.uint8), [0], method=maker)
    assert not maker.asked


def test_gradients_are_taken_of_the_weights_of_a_known_architecture() -> None:
    weights = Path("fake/weights.safetensors")
    assert network_weights(bundle_of(64, weights=weights)) == ("resnet18", weights)


@pytest.mark.parametrize(
    ("bundle", "lacking", "default"),
    [
        (bundle_of(64), "weights.safetensors", "class maps"),
        (bundle_of(64, None), "weights.safetensors", "occlusion"),
        (bundle_of(64, weights=Path("w"), architecture=None), "the name of its architecture", "class maps"),
    ],
)
def test_without_gradients_the_way_that_there_is_is_told(bundle: Bundle, lacking: str, default: str) -> None:
    with pytest.raises(UsageError, match=f"fake: lacks {lacking}, .* the method auto, which takes {default} here"):
        network_weights(bundle)


def test_log_probabilities_follow_task_and_temperature() -> None:
    head = bundle_of(64).heads[0]
    logits = np.array([[2.0, 0.0]], np.float32)
    assert np.exp(log_probabilities(logits, head)).sum() == pytest.approx(1.0)
    warm = replace(head, temperature=2.0)
    assert math.exp(log_probabilities(logits, warm)[0, 0]) == pytest.approx(1 / (1 + math.exp(-1)))
    many = replace(head, task="multi_label")
    assert np.exp(log_probabilities(logits, many))[0] == pytest.approx([1 / (1 + math.exp(-2)), 0.5])


@pytest.mark.parametrize(
    ("indices", "method", "says"),
    [([2], "auto", "0 to 1"), ([0, 1], "auto", "one label for each"), ([0], "gradients", "is unknown")],
)
def test_what_can_not_be_meant_is_refused(indices: list[int], method: Any, says: str) -> None:
    session = FakeSession(logits=np.zeros(2, np.float32), class_maps=np.zeros((2, 2, 2), np.float32))
    with pytest.raises(UsageError, match=says):
        heat_maps(session, bundle_of(64), np.zeros((1, 64, 64, 3), np.uint8), indices, method=method)


@pytest.mark.parametrize(
    ("weights", "others"), [(None, "the method occlusion, or auto"), (Path("w"), "the method occlusion, grad-cam, or")]
)
def test_class_maps_are_refused_where_there_are_none(weights: Path | None, others: str) -> None:
    bundle, pixels = bundle_of(64, None, weights=weights), np.zeros((1, 64, 64, 3), np.uint8)
    with pytest.raises(UsageError, match=f"no class maps; choose {others}"):
        heat_maps(FakeSession(logits=np.zeros(2, np.float32)), bundle, pixels, [0], method="class maps")


def test_pixels_of_another_shape_are_refused() -> None:
    session = FakeSession(logits=np.zeros(2, np.float32))
    with pytest.raises(UsageError, match="uint8"):
        heat_maps(session, bundle_of(64), cast(Any, np.zeros((64, 64, 3), np.float32)), [0])
