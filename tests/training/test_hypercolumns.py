from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="the extra train is not installed")

from torch import nn

from veduta.training.export import export_weights
from veduta.training.hypercolumns import Hypercolumns
from veduta.training.networks import build
from veduta.training.taps import run_with_taps

from .test_architectures import lively, seen


def layers() -> nn.Sequential:
    """Two of a stride of 2, then two of a stride of 4."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 1, 2), nn.ReLU(), nn.Conv2d(4, 6, 1, 2), nn.Conv2d(6, 5, 1))


def test_channels_of_earlier_layers_come_after_those_of_the_last() -> None:
    plain, images = layers().requires_grad_(False), torch.randn(2, 3, 16, 24)
    features = Hypercolumns(plain, {"1": 2, "2": 1})(images)
    assert features.shape == (2, 5 + 4 + 6, 4, 6)
    assert torch.equal(features[:, :5], plain(images))
    means = features.mean((2, 3))
    expected = [plain[:2](images).mean((2, 3)), plain[:3](images).mean((2, 3))]
    ratio = means[:, 5:] / torch.cat(expected, 1)
    torch.testing.assert_close(ratio, ratio[:1, :1].expand_as(ratio))
    assert ratio[0, 0].item() > 1


@pytest.mark.parametrize(("height", "width"), [(15, 16), (17, 33), (21, 9), (5, 7)])
def test_any_size_fits(height: int, width: int) -> None:
    plain, images = layers(), torch.randn(1, 3, height, width)
    features = Hypercolumns(plain, {"1": 2})(images)
    assert features.shape[2:] == plain(images).shape[2:]


def test_mobilenet_is_read_where_its_blocks_end_and_takes_the_same_weights() -> None:
    plain, columns = lively("mobilenet_v2"), build("mobilenet_v2_hypercolumns", 3).eval()
    columns.features.load_state_dict(plain.features.state_dict())
    images = seen(2, 96)
    with torch.inference_mode():
        last, read = run_with_taps(plain.eval().features, images, ("10", "13", "16"))
        embedding = columns.embed(images)
    means = [last.mean((2, 3)), *(2.5 * each for each in read)]
    torch.testing.assert_close(embedding, torch.cat(means, 1), atol=1e-4, rtol=1e-4)
    assert export_weights(columns).count(b"features.") == export_weights(plain).count(b"features.")
