from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra train is not installed")

from veduta.errors import WeightsError
from veduta.models.bundle import Bundle
from veduta.models.session import Session
from veduta.training.backbone import write_backbone
from veduta.training.export import export_weights
from veduta.training.networks import build
from veduta.training.normalise import Normalise


@pytest.mark.slow
def test_weights_become_a_model_whose_embedding_is_the_networks_own(tmp_path: Path) -> None:
    torch.manual_seed(3)
    network = build("squeezenet1_1", 7).eval()
    (tmp_path / "weights.safetensors").write_bytes(export_weights(network))
    bundle = write_backbone("squeezenet1_1", tmp_path / "weights.safetensors", 50, tmp_path / "backbone")
    assert (bundle.kind, bundle.heads, bundle.architecture) == ("embedding", (), "squeezenet1_1")
    assert bundle.preprocessing.sizes == ((50, 50),)
    assert "weights.safetensors" in (bundle.path / "README.md").read_text()
    assert str(tmp_path) not in (bundle.path / "README.md").read_text()
    photos = np.random.default_rng(0).integers(0, 256, (3, 50, 50, 3), np.uint8)
    with torch.inference_mode():
        expected = network.embed(Normalise()(torch.from_numpy(photos))).numpy()
    found = Session(bundle.graph, threads=1).run(photos, ["embedding"])["embedding"]
    np.testing.assert_allclose(found, expected, atol=2e-3 * np.abs(expected).max())
    again = write_backbone("squeezenet1_1", tmp_path / "weights.safetensors", 50, tmp_path / "again")
    assert again.embedding_id == Bundle.load(bundle.path).embedding_id


def test_weights_of_another_network_are_refused_before_any_export(tmp_path: Path) -> None:
    (tmp_path / "weights.safetensors").write_bytes(export_weights(build("squeezenet1_1", 7)))
    with pytest.raises(WeightsError, match="does not fit mobilenet_v2"):
        write_backbone("mobilenet_v2", tmp_path / "weights.safetensors", 50, tmp_path / "backbone")
    assert not (tmp_path / "backbone").exists()
