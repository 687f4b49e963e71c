from __future__ import annotations

import pytest
import torch

from veduta.generation.diff_augment import diff_augment, next_probability
from veduta.generation.presets import ALL_CHANGES


def _draws(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _pictures(count: int = 6, channels: int = 3, side: int = 32) -> torch.Tensor:
    return torch.rand((count, channels, side, side), generator=_draws(9)) * 2 - 1


@pytest.mark.parametrize("change", ALL_CHANGES)
@pytest.mark.parametrize("channels", [1, 3])
def test_each_picture_is_changed_as_the_seed_says_and_keeps_its_shape(change: str, channels: int) -> None:
    pictures = _pictures(channels=channels)
    changed = diff_augment(pictures, [change], _draws())  # type: ignore[list-item]
    assert changed.shape == pictures.shape
    assert torch.equal(changed, diff_augment(pictures, [change], _draws()))  # type: ignore[list-item]
    assert not torch.equal(changed, diff_augment(pictures, [change], _draws(1)))  # type: ignore[list-item]
    same = diff_augment(pictures[:1].expand(6, -1, -1, -1), [change], _draws())  # type: ignore[list-item]
    assert len({each.numpy().tobytes() for each in same}) > 1


def test_without_changes_pictures_stay_as_they_are() -> None:
    pictures = _pictures()
    assert diff_augment(pictures, [], _draws()) is pictures


@pytest.mark.parametrize("change", ALL_CHANGES)
def test_gradients_pass_to_the_generator(change: str) -> None:
    pictures = _pictures().requires_grad_(True)
    diff_augment(pictures, [change], _draws()).square().sum().backward()  # type: ignore[list-item]
    assert pictures.grad is not None
    assert float(pictures.grad.abs().sum()) > 0


def test_a_moved_picture_is_the_same_elsewhere_and_grey_where_there_was_none() -> None:
    pictures = _pictures(20)
    moved = diff_augment(pictures, ["translation"], _draws())
    padded = torch.nn.functional.pad(pictures, (4, 4, 4, 4))
    for picture, wide in zip(moved, padded, strict=True):
        windows = wide.unfold(1, 32, 1).unfold(2, 32, 1)
        assert any(torch.equal(windows[:, top, left], picture) for top in range(9) for left in range(9))


@pytest.mark.parametrize("change", ALL_CHANGES)
def test_of_many_pictures_the_share_that_is_asked_for_is_changed(change: str) -> None:
    pictures = _pictures(400, side=8)
    changed = diff_augment(pictures, [change], _draws(), 0.3)  # type: ignore[list-item]
    share = (changed != pictures).flatten(1).any(dim=1).float().mean()
    # A shift by nothing at all, or a square that is wholly outside, changes none.
    assert 0.2 < float(share) < 0.36
    assert diff_augment(pictures, ALL_CHANGES, _draws(), 0.0) is pictures


def test_changes_come_while_too_many_photos_are_called_real_and_go_again() -> None:
    assert next_probability(0.5, 0.81, 0.8, 16) == pytest.approx(0.5 + 16 / 100_000)
    assert next_probability(0.5, 0.79, 0.8, 16) == pytest.approx(0.5 - 16 / 100_000)
    assert next_probability(1.0, 1.0, 0.8, 16) == 1.0
    assert next_probability(0.0, 0.5, 0.8, 16) == 0.0
    assert next_probability(1.0, 0.5, None, 16) == 1.0


def test_at_most_a_quarter_is_cut_out() -> None:
    kept = (diff_augment(torch.ones(200, 1, 32, 32), ["cutout"], _draws()) > 0).float().mean(dim=(1, 2, 3))
    assert float(kept.min()) == pytest.approx(0.75)
    assert float(kept.max()) > 0.85
