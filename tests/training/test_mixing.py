from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="the extra train is not installed")

from veduta.training.augment import Augmentation, draw_mixture
from veduta.training.mixing import mix_images, mix_targets


@pytest.mark.parametrize("how", [Augmentation(mixup=0.4), Augmentation(cutmix=1.0)], ids=["mixup", "cutmix"])
@pytest.mark.parametrize("size", [6, 7])
def test_a_mixture_shows_of_each_photo_what_its_targets_say(how: Augmentation, size: int) -> None:
    mixture = draw_mixture(how, size, 16, (3, 1, 4))
    assert mixture is not None
    # A photo of nothing but its own number, so that the mean tells the shares.
    images = torch.arange(size).float()[:, None, None, None].expand(size, 3, 16, 16)
    targets = torch.eye(size)
    mixed, shares = mix_images(images, mixture), mix_targets(targets, mixture)
    torch.testing.assert_close(shares.sum(1), torch.ones(size))
    torch.testing.assert_close(mixed.mean((1, 2, 3)), shares @ torch.arange(size).float(), atol=1e-4, rtol=1e-4)
    for place, kept in enumerate(mixture.kept.tolist()):
        assert shares[place, place].item() == pytest.approx(kept)
    if size % 2:
        assert mixture.kept[-1] == 1
        assert (mixed[-1] == size - 1).all()


@pytest.mark.parametrize("how", [Augmentation(mixup=0.4), Augmentation(cutmix=1.0)], ids=["mixup", "cutmix"])
def test_parts_of_a_mixture_mix_as_the_whole(how: Augmentation) -> None:
    mixture = draw_mixture(how, 8, 16, (0, 0, 1))
    assert mixture is not None
    images, targets = torch.rand(8, 3, 16, 16), torch.rand(8, 5)
    parts = [(images[i : i + 4], targets[i : i + 4], mixture.part(i, i + 4)) for i in (0, 4)]
    assert torch.equal(mix_images(images, mixture), torch.cat([mix_images(part, how) for part, _, how in parts]))
    assert torch.equal(mix_targets(targets, mixture), torch.cat([mix_targets(part, how) for _, part, how in parts]))
