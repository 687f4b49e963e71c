"""Where in the photo a class comes from, without gradients, so that any runtime will do.

Two ways, by what the graph offers:

- ``class maps``: the classifier applied at each position of the last feature map (CAM, Zhou et al. 2016). Taking off
  the other classes' maps, weighted by their probability, did no better (``docs/heat-maps.md``).
- ``occlusion``: a grey window slides over the photo, and what the class loses is noted (Zeiler & Fergus 2014). It
  needs nothing but logits, and costs one forward pass a window.

Recipro-CAM (Byun & Lee 2022) would mask the feature map and run the rest of the network alone; a bundle is one graph
that can't be entered in the middle, so it is not offered. What needs more than the graph comes as a ``MapMaker``:
``veduta.training.grad_cam`` has one for gradients.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from veduta.errors import BundleIncompatible, UsageError
from veduta.images.preprocess import Preprocessing
from veduta.models.bundle import Bundle, Head

Method = Literal["class maps", "occlusion", "grad-cam"]
MethodChoice = Literal["auto", "class maps", "occlusion"]

#: Aspects (width / height) that the graph is run at; a photo is stretched to the nearest.
_ASPECTS = (1.0, 1.4, 1 / 1.4, 2.0, 0.5)
#: The map's input may have this many times the pixels of the bundle's own, which bounds its cost.
_MOST_AREA = 2.25
#: A stride that all common networks divide their input by.
_STEP = 32
_WINDOWS_A_BATCH = 16


class Runs(Protocol):
    """What a session does, as far as an explanation needs it."""

    def run(self, images: NDArray[np.uint8], outputs: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """uint8 ``[n, h, w, 3]`` to float32 arrays by output name."""
        ...


class MapMaker(Protocol):
    """Makes the maps of one bundle, ``bundle_id``, from more than its graph; ``method`` names how."""

    @property
    def method(self) -> Method: ...

    @property
    def bundle_id(self) -> str: ...

    def maps(self, pixels: NDArray[np.uint8], label_indices: Sequence[int]) -> NDArray[np.float64]:
        """uint8 ``[n, h, w, 3]`` and ``n`` labels to ``[n, h', w']``, 0 where nothing speaks for the label."""
        ...


@dataclass(frozen=True, slots=True)
class OcclusionGrid:
    """``cells`` along each side of the photo; the window covers ``window`` cells each way and moves by one."""

    cells: int = 8
    window: int = 2

    @property
    def passes(self) -> int:
        """Forward passes for one photo, the untouched one included."""
        return (self.cells - self.window + 1) ** 2 + 1


def map_preprocessing(bundle: Bundle) -> Preprocessing:
    """The input of the graph for a heat map: the whole photo, stretched to one of a few fixed sizes.

    A bundle with class maps gets sizes of up to 2.25 times its own area, so that the map is finer; any other keeps
    its own size, since occlusion gains nothing from a larger one. Raises ``BundleIncompatible`` without a head.
    """
    head = explained_head(bundle)
    own = bundle.preprocessing
    if head.class_maps is None:
        return Preprocessing(fit="stretch", sizes=own.sizes, filter=own.filter)
    area = max(height * width for height, width in own.sizes)
    return Preprocessing(fit="stretch", sizes=_map_sizes(area), filter=own.filter)


def heat_maps(
    session: Runs,
    bundle: Bundle,
    pixels: NDArray[np.uint8],
    label_indices: Sequence[int],
    *,
    method: MethodChoice | MapMaker = "auto",
    grid: OcclusionGrid | None = None,
) -> tuple[NDArray[np.float32], Method]:
    """One map for each photo and its class.

    ``pixels`` is uint8 ``[n, h, w, 3]`` from ``map_preprocessing``; ``label_indices`` has ``n`` positions in the first
    head's labels. Returns float32 ``[n, h', w']`` in [0, 1], 0 where nothing speaks for the class and 1 where most
    does (a map of one value is all 0), and the method that made it. Raises ``UsageError`` for a label out of range,
    a method that the graph does not offer or a maker of another bundle, ``BundleIncompatible`` without a head.
    """
    head = explained_head(bundle)
    _check_method(bundle, head, method)
    _check(head, pixels, label_indices)
    if not isinstance(method, str):
        return _stretched(method.maps(pixels, label_indices)), method.method
    if head.class_maps is not None and method != "occlusion":
        raw = _from_class_maps(session, head.class_maps, pixels, label_indices)
        return _stretched(raw), "class maps"
    chosen = grid or OcclusionGrid()
    raw = np.stack([_occluded(session, head, each, k, chosen) for each, k in zip(pixels, label_indices, strict=True)])
    return _stretched(raw), "occlusion"


def explained_head(bundle: Bundle) -> Head:
    """The head whose classes are explained: the first. Raises ``BundleIncompatible`` where there is none."""
    if not bundle.heads:
        raise BundleIncompatible(f"{bundle.path}: has no classes to explain; name a model of the kind classifier.")
    return bundle.heads[0]


def network_weights(bundle: Bundle) -> tuple[str, Path]:
    """The name of the bundle's architecture and the file of its weights, which gradients can be taken of.

    Raises ``UsageError`` where it has none, as a model made of somebody's ONNX file, or does not tell.
    """
    if bundle.weights is None or bundle.architecture is None:
        lacking = "weights.safetensors" if bundle.weights is None else "the name of its architecture"
        default = "occlusion" if explained_head(bundle).class_maps is None else "class maps"
        raise UsageError(
            f"{bundle.path}: lacks {lacking}, and gradients can't be taken of its graph alone; in place of grad-cam "
            f"choose the method auto, which takes {default} here."
        )
    return bundle.architecture, bundle.weights


def log_probabilities(logits: NDArray[np.float32], head: Head) -> NDArray[np.float64]:
    """Natural logarithms of the calibrated probabilities, of the shape of ``logits`` ``[..., classes]``."""
    scaled = logits.astype(np.float64) / (head.temperature or 1.0)
    if head.task == "multi_label":
        return np.asarray(-np.logaddexp(0.0, -scaled))
    shifted = scaled - scaled.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))


def _from_class_maps(
    session: Runs, output: str, pixels: NDArray[np.uint8], label_indices: Sequence[int]
) -> NDArray[np.float64]:
    maps = session.run(pixels, [output])[output]  # [n, classes, h', w']
    own: NDArray[np.float64] = maps[np.arange(len(maps)), np.asarray(label_indices)].astype(np.float64)
    return own


def _occluded(
    session: Runs, head: Head, photo: NDArray[np.uint8], label_index: int, grid: OcclusionGrid
) -> NDArray[np.float64]:
    """What the class's log-probability loses, on average over the windows that hide a cell: ``[cells, cells]``."""
    height, width = photo.shape[:2]
    cells = min(grid.cells, height, width)
    window = min(grid.window, cells)
    rows = np.linspace(0, height, cells + 1).round().astype(int)
    columns = np.linspace(0, width, cells + 1).round().astype(int)
    grey = photo.reshape(-1, 3).mean(axis=0).round().astype(np.uint8)
    steps = cells - window + 1
    corners = [None, *((top, left) for top in range(steps) for left in range(steps))]
    values: list[float] = []
    for start in range(0, len(corners), _WINDOWS_A_BATCH):
        some = corners[start : start + _WINDOWS_A_BATCH]
        batch = np.repeat(photo[None], len(some), axis=0)
        for image, corner in zip(batch, some, strict=True):
            if corner is not None:
                top, left = corner
                image[rows[top] : rows[top + window], columns[left] : columns[left + window]] = grey
        logits = session.run(batch, [head.logits])[head.logits]
        values.extend(log_probabilities(logits, head)[:, label_index].tolist())
    lost, hidden = np.zeros((cells, cells)), np.zeros((cells, cells))
    for corner, value in zip(corners[1:], values[1:], strict=True):
        assert corner is not None
        area = (slice(corner[0], corner[0] + window), slice(corner[1], corner[1] + window))
        lost[area] += values[0] - value
        hidden[area] += 1
    return lost / hidden


def _stretched(maps: NDArray[np.float64]) -> NDArray[np.float32]:
    """To [0, 1]: below 0 a place speaks against the class; where all do, the map is relative to the worst of them."""
    low = maps.min(axis=(1, 2), keepdims=True)
    high = maps.max(axis=(1, 2), keepdims=True)
    low = np.where(high > 0.0, np.maximum(low, 0.0), low)
    maps, span = np.maximum(maps, low), high - low
    return np.asarray((maps - low) / np.where(span > 1e-9, span, np.inf), dtype=np.float32)


def _map_sizes(area: int) -> tuple[tuple[int, int], ...]:
    """For each aspect the size (height, width) that fits it best and wastes least of the area allowed."""
    most = _MOST_AREA * area
    sides = range(_STEP, 2 * math.isqrt(int(most)) + 1, _STEP)
    candidates = [(height, width) for height in sides for width in sides if height * width <= most]
    if not candidates:
        side = math.isqrt(area)
        return ((side, side),)

    def misfit(size: tuple[int, int], aspect: float) -> float:
        height, width = size
        return abs(math.log(width / height / aspect)) + 0.5 * math.log(most / (height * width))

    sizes = [min(candidates, key=lambda size, aspect=aspect: misfit(size, aspect)) for aspect in _ASPECTS]  # type: ignore[misc]
    return tuple(dict.fromkeys(sizes))


def _check_method(bundle: Bundle, head: Head, method: MethodChoice | MapMaker) -> None:
    if not isinstance(method, str):
        if method.bundle_id != bundle.bundle_id:
            raise UsageError(f"method: the maker of {method.method} was made for another model than {bundle.path}.")
    elif method not in ("auto", "class maps", "occlusion"):
        raise UsageError(
            f"method {method!r}: is unknown; choose auto, class maps or occlusion, or give GradCam(bundle) of "
            f"veduta.training.grad_cam."
        )
    elif method == "class maps" and head.class_maps is None:
        others = "occlusion" if bundle.weights is None else "occlusion, grad-cam"
        raise UsageError(f"{bundle.path}: the graph has no class maps; choose the method {others}, or auto.")


def _check(head: Head, pixels: NDArray[np.uint8], label_indices: Sequence[int]) -> None:
    if pixels.ndim != 4 or pixels.shape[3] != 3 or pixels.dtype != np.uint8:
        raise UsageError(f"pixels of shape {pixels.shape} and type {pixels.dtype}: give uint8 [n, height, width, 3].")
    if len(label_indices) != len(pixels):
        raise UsageError(f"{len(label_indices)} labels for {len(pixels)} photos: give one label for each photo.")
    for index in label_indices:
        if not 0 <= index < len(head.labels):
            raise UsageError(f"label number {index}: the model has the numbers 0 to {len(head.labels) - 1}.")
