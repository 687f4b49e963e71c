from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

torch = pytest.importorskip("torch", reason="the extra train is not installed")

from safetensors.torch import load_file
from torch import Tensor, nn

from veduta.datasets.folders import read_class_folders
from veduta.errors import TrainingError, UsageError
from veduta.models.bundle import Bundle
from veduta.models.session import Session
from veduta.models.store import find
from veduta.training.evidence import (
    READINGS,
    Evidence,
    choose_threshold,
    fit_distance,
    fit_evidence,
    fit_scales,
    join,
    read_layers,
)
from veduta.training.export import check_parity, export_graph, round_to_half
from veduta.training.networks import SceneNetwork, build
from veduta.training.non_scenes import make_non_scenes
from veduta.training.photo_sets import PhotoSet
from veduta.training.taps import Reading, run_with_taps
from veduta.training.validation import predict_logits

SIDE = 32


def small_network(classes: int = 3) -> SceneNetwork:
    torch.manual_seed(0)
    block = nn.Sequential(nn.Conv2d(3, 6, 3, 2, 1), nn.ReLU6())
    features = nn.Sequential(block, nn.Conv2d(6, 5, 3, 2, 1), nn.ReLU6(), nn.Conv2d(5, 8, 1), nn.ReLU6())
    return round_to_half(SceneNetwork(features, 8, classes))


def stripes(count: int, seed: int, classes: int = 3) -> PhotoSet:
    """Photos of one class are stripes of one width, in any colours."""
    random = np.random.default_rng(seed)
    targets = np.arange(count) % classes
    columns = np.arange(SIDE)[None, None, :, None] // (2 + 3 * targets[:, None, None, None]) % 2
    colours = random.uniform(40, 250, (2, count, 1, 1, 3))
    pixels = colours[0] + (colours[1] - colours[0]) * columns + random.normal(0, 4, (count, SIDE, SIDE, 3))
    return PhotoSet(np.clip(pixels, 0, 255).astype(np.uint8), targets.astype(np.int64))


def values(network: SceneNetwork, evidence: Evidence, photos: PhotoSet) -> NDArray[np.float32]:
    with torch.inference_mode():
        logits = torch.from_numpy(predict_logits(network, photos))
        found: NDArray[np.float32] = evidence(read_layers(network, photos, evidence.reading), logits).numpy()
    return found


def normal_layers(count: int, sizes: Sequence[int] = (4, 3), seed: int = 0) -> list[Tensor]:
    random = torch.Generator().manual_seed(seed)
    return [torch.randn(count, size, generator=random) + 2 for size in sizes]


def test_held_out_photos_have_the_mean_50_and_the_deviation_10() -> None:
    network, held_out = small_network(), stripes(90, 1)
    evidence = fit_evidence(network, stripes(300, 0), held_out, reading=Reading(("0", "3")))
    found = values(network, evidence, held_out)
    assert found.mean() == pytest.approx(50, abs=0.01)
    assert found.std(ddof=1) == pytest.approx(10, abs=0.01)


def test_what_lies_elsewhere_has_less() -> None:
    known, strangers = normal_layers(200), [-each for each in normal_layers(40, seed=1)]
    evidence = fit_distance(known, np.arange(200) % 4, reading=Reading(("0", "1")), shrinkage=0.1, certainty=0.5)
    held_out = normal_layers(100, seed=2)
    fit_scales(evidence, held_out, torch.randn(100, 4))
    threshold = choose_threshold(evidence(held_out, torch.randn(100, 4)).numpy())
    assert (evidence(strangers, torch.randn(40, 4)) < threshold).all()


def test_the_distance_is_that_of_mahalanobis() -> None:
    pooled, targets = normal_layers(200), np.arange(200) % 4
    evidence = fit_distance(pooled, targets, reading=Reading(("0", "1")), shrinkage=0.2, certainty=0)
    joined = join(pooled).double().numpy()
    means = np.stack([joined[targets == each].mean(0) for each in range(4)])
    within = joined - means[targets]
    covariance = within.T @ within / len(within)
    covariance = 0.8 * covariance + 0.2 * covariance.diagonal().mean() * np.eye(7)
    away = joined[:, None] - means
    expected = np.sqrt(np.einsum("ncd,de,nce->nc", away, np.linalg.inv(covariance), away).min(1))
    np.testing.assert_allclose(evidence.distance(pooled).numpy(), expected, rtol=5e-3)  # its tensors are float16's


@given(st.floats(1e-3, 1e3), st.floats(1e-3, 1e3))
def test_the_strength_of_a_layer_does_not_matter(first: float, second: float) -> None:
    one, two = normal_layers(5)
    torch.testing.assert_close(join([one * first, two * second]), join([one, two]), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(join([one]).square().mean(1), torch.ones(5))


def test_a_layer_of_zeros_is_no_division_by_zero() -> None:
    pooled = normal_layers(30)
    evidence = fit_distance(pooled, np.arange(30) % 2, reading=Reading(("0", "1")), shrinkage=0.1, certainty=0.5)
    fit_scales(evidence, pooled, torch.randn(30, 2))
    assert torch.isfinite(evidence([torch.zeros(2, 4), torch.zeros(2, 3)], torch.zeros(2, 2))).all()


def test_more_certainty_is_more_evidence() -> None:
    pooled, logits = normal_layers(30), torch.linspace(0, 3, 60).view(30, 2) * torch.tensor([1.0, 2.0])
    evidence = fit_distance(pooled, np.arange(30) % 2, reading=Reading(("0", "1")), shrinkage=0.1, certainty=0.5)
    fit_scales(evidence, pooled, logits)
    assert (evidence(pooled, 3 * logits) > evidence(pooled, logits)).all()
    evidence.certainty = 0.0
    torch.testing.assert_close(evidence(pooled, 3 * logits), evidence(pooled, logits))


def test_more_energy_is_more_evidence_whatever_the_certainty() -> None:
    pooled, logits = normal_layers(30), torch.linspace(0, 3, 60).view(30, 2) * torch.tensor([1.0, 2.0])
    evidence = fit_distance(
        pooled, np.arange(30) % 2, reading=Reading(("0", "1")), shrinkage=0.1, certainty=0.25, energy=0.5
    )
    fit_scales(evidence, pooled, logits)
    # The same on all logits leaves the probabilities as they are.
    assert (evidence(pooled, logits + 1) > evidence(pooled, logits)).all()
    assert evidence(pooled, logits).std().item() == pytest.approx(10, abs=0.01)


def test_photos_of_many_labels_have_one_mean() -> None:
    network, photos = small_network(), stripes(60, 0)
    many = PhotoSet(photos.pixels, np.eye(3, dtype=np.float32)[photos.labels.astype(int)])
    assert fit_evidence(network, many, many, reading=Reading(("3",))).means.shape == (1, 8)


def test_the_threshold_keeps_the_share_that_was_asked_for() -> None:
    found = np.random.default_rng(0).normal(50, 10, 1000)
    for keep in (0.9, 0.95, 1.0):
        threshold = choose_threshold(found, keep)
        assert keep <= (found >= threshold).mean() < keep + 0.002
        assert threshold == round(threshold, 2)
    with pytest.raises(UsageError, match=r"share of 1\.5"):
        choose_threshold(found, 1.5)


def test_a_layer_that_is_not_there_is_named() -> None:
    with pytest.raises(TrainingError, match=r"`9`.*name layers that it has"):
        fit_evidence(small_network(), stripes(6, 0), stripes(6, 1), reading=Reading(("9",)))


def test_taps_hear_each_layer_and_leave_nothing_behind() -> None:
    network = small_network()
    images = torch.randn(2, 3, SIDE, SIDE)
    features, (inner, outer) = run_with_taps(network.features, images, ("0", ""))
    torch.testing.assert_close(features, network.features(images))
    torch.testing.assert_close(inner, network.features[0](images).mean((2, 3)))
    torch.testing.assert_close(outer, features.mean((2, 3)))
    assert not any(module._forward_hooks for module in network.modules())


def test_evidence_reads_layers_of_a_pass_at_its_own_size(tmp_path: Path) -> None:
    network, held_out = small_network(), stripes(60, 1)
    network.enlarge = 1.5
    at_photo_size = fit_evidence(network, stripes(300, 0), held_out, reading=Reading(("0", "3"), enlarge=1.0))
    as_the_classifier = fit_evidence(network, stripes(300, 0), held_out, reading=Reading(("0", "3")))
    assert not torch.equal(at_photo_size.centre, as_the_classifier.centre)
    network.enlarge = 1.0
    plain = fit_evidence(network, stripes(300, 0), held_out, reading=Reading(("0", "3")))
    torch.testing.assert_close(at_photo_size.centre, plain.centre)

    network.enlarge = 1.5
    graph = tmp_path / "model.onnx"
    graph.write_bytes(export_graph(network, SIDE, evidence=at_photo_size))
    check_parity(network, graph, held_out.pixels, evidence=at_photo_size)  # type: ignore[arg-type]


def test_the_graph_says_what_torch_says_and_stores_large_tensors_as_float16(tmp_path: Path) -> None:
    network, held_out = small_network(), stripes(60, 1)
    evidence = fit_evidence(network, stripes(300, 0), held_out, reading=Reading(("0", "3")))
    graph = tmp_path / "model.onnx"
    graph.write_bytes(export_graph(network, SIDE, evidence=evidence))
    check_parity(network, graph, held_out.pixels, evidence=evidence)  # type: ignore[arg-type]
    found = Session(graph).run(held_out.pixels[:7], ["evidence"])["evidence"]  # type: ignore[index]
    assert found.shape == (7,)
    np.testing.assert_allclose(found, values(network, evidence, held_out)[:7], atol=0.05)


def test_every_known_layer_is_there() -> None:
    for architecture, reading in READINGS.items():
        network = build(architecture, 2)
        for layer in reading.layers:
            assert isinstance(network.features.get_submodule(layer), nn.Module)


@pytest.mark.slow
def test_the_bundled_network_tells_drawn_pictures_from_scenes(shared_data: Path) -> None:
    bundle = Bundle.load(find("places100"))
    assert bundle.weights is not None
    assert bundle.architecture is not None
    network = build(bundle.architecture, 100)
    network.load_state_dict(load_file(bundle.weights))
    root = shared_data / "places100" / "train"
    folders = sorted(path.name for path in root.iterdir())[::10]
    photos = PhotoSet.of(read_class_folders(root, folders, bundle.preprocessing))
    first = np.arange(len(photos)) % 3 != 0
    held_out = photos.subset(~first)
    evidence = fit_evidence(network, photos.subset(first), held_out)
    threshold = choose_threshold(values(network, evidence, held_out))
    made = make_non_scenes(15, side=128, seed=1)
    found = values(network, evidence, PhotoSet(made.pixels, np.zeros(len(made), np.int64)))
    assert (found < threshold).mean() > 0.9
