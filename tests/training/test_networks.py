from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="the extra train is not installed")

from safetensors.torch import save_file

from veduta.errors import TrainingError
from veduta.training.networks import BundleGraph, Normalise, build, load_backbone


def test_the_mean_of_the_class_maps_is_the_logits() -> None:
    graph = BundleGraph(build("mobilenet_v2", 7)).eval()
    images = torch.randint(0, 256, (2, 64, 96, 3), dtype=torch.uint8)
    with torch.inference_mode():
        logits, embedding, class_maps = graph(images)
    assert tuple(class_maps.shape) == (2, 7, 2, 3)
    assert tuple(embedding.shape) == (2, 1280)
    torch.testing.assert_close(class_maps.mean((2, 3)), logits, atol=1e-5, rtol=1e-5)


def test_normalising_gives_channels_first_with_imagenets_statistics() -> None:
    grey = torch.full((1, 2, 2, 3), 128, dtype=torch.uint8)
    got = Normalise()(grey)
    assert tuple(got.shape) == (1, 3, 2, 2)
    assert got[0, :, 0, 0].tolist() == pytest.approx([0.0741, 0.2052, 0.4265], abs=1e-3)


def test_pretrained_features_are_taken_over_and_the_classifier_is_not(shared_weights: Path) -> None:
    network = build("mobilenet_v2", 5)
    fresh = network.classifier.weight.clone()
    load_backbone(network, shared_weights / "mobilenet_v2_imagenet.safetensors")
    assert (network.classifier.weight == fresh).all()
    assert network.features.state_dict()["0.0.weight"].dtype == torch.float32


@pytest.mark.parametrize("harm", ["missing", "extra", "shape"])
def test_weights_of_another_network_are_refused_by_tensor(tmp_path: Path, harm: str) -> None:
    network = build("mobilenet_v2", 5)
    tensors = {f"features.{key}": value.contiguous() for key, value in network.features.state_dict().items()}
    if harm == "missing":
        del tensors["features.0.0.weight"]
    elif harm == "extra":
        tensors["features.99.weight"] = torch.zeros(1)
    else:
        tensors["features.0.0.weight"] = torch.zeros(2, 2)
    save_file(tensors, tmp_path / "w.safetensors")
    with pytest.raises(TrainingError, match=r"0\.0\.weight|99\.weight"):
        load_backbone(network, tmp_path / "w.safetensors")


def test_missing_weights_and_unknown_architectures_are_named(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"none\.safetensors"):
        load_backbone(build("mobilenet_v2", 5), tmp_path / "none.safetensors")
    with pytest.raises(TrainingError, match="mobilenet_v2"):
        build("alexnet", 5)


def test_a_file_that_is_no_safetensors_is_refused(tmp_path: Path) -> None:
    (tmp_path / "w.safetensors").write_bytes(b"\x80\x04pickle")
    with pytest.raises(TrainingError, match=r"w\.safetensors"):
        load_backbone(build("mobilenet_v2", 5), tmp_path / "w.safetensors")
