from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from veduta.errors import UsageError

pytest.importorskip("torch", reason="the extra train is not installed")

from veduta.training.non_scenes import Material, families, make_non_scenes

GREEN = np.full((50, 70, 3), (20, 160, 20), np.uint8)
DRAWN = ("noise", "gradients", "textures", "fur", "documents", "charts", "drawings", "things")


def person() -> Image.Image:
    """A red ellipse on a transparent ground."""
    image = Image.new("RGBA", (40, 60))
    y, x = np.mgrid[:60, :40]
    inside = ((x - 20) / 16) ** 2 + ((y - 30) / 26) ** 2 < 1
    pixels = np.asarray(image).copy()
    pixels[inside] = (220, 30, 30, 255)
    return Image.fromarray(pixels)


MATERIAL = Material(photos=[GREEN, GREEN[:, :40]], people=[person()], pictures=[GREEN])


def test_without_material_only_what_is_drawn_can_be_made() -> None:
    assert families(Material()) == DRAWN
    assert set(families(MATERIAL)) == {*DRAWN, "people", "portraits", "close_ups", "blurred", "pictures"}


@pytest.mark.parametrize("side", [24, 61])
@pytest.mark.parametrize("family", families(MATERIAL))
def test_each_family_has_pictures_of_any_side(family: str, side: int) -> None:
    made = make_non_scenes({family: 12}, side=side, seed=3, material=MATERIAL)
    assert made.pixels.shape == (12, side, side, 3)
    assert made.pixels.dtype == np.uint8
    assert made.families == (family,) * 12
    assert len({each.tobytes() for each in made.pixels}) == 12


def test_a_picture_depends_on_the_seed_and_its_place_alone() -> None:
    few = make_non_scenes(2, side=24, seed=5, material=MATERIAL)
    more = make_non_scenes({"fur": 1, "things": 4}, side=24, seed=5, material=MATERIAL)
    np.testing.assert_array_equal(more.of("things")[:2], few.of("things"))
    other = make_non_scenes({"things": 2}, side=24, seed=6, material=MATERIAL)
    assert (other.pixels != few.of("things")).any()


def test_people_hide_at_least_half_of_a_portrait() -> None:
    made = make_non_scenes({"portraits": 20}, side=48, seed=1, material=MATERIAL)
    red = made.pixels[..., 0].astype(int) > made.pixels[..., 1]
    assert red.mean((1, 2)).min() > 0.45  # reducing and JPEG move the outline a little


def test_a_family_without_its_material_is_refused_and_says_what_it_needs() -> None:
    with pytest.raises(UsageError, match="'portraits' are made from people and photos"):
        make_non_scenes({"portraits": 1}, material=Material(photos=[GREEN]))


def test_an_unknown_family_is_refused() -> None:
    with pytest.raises(UsageError, match="'clouds'; there are: noise,"):
        make_non_scenes({"clouds": 1})


def test_real_people_stand_in_the_picture(shared_data: Path) -> None:
    people = [_opened(path) for path in sorted((shared_data / "people").glob("*.webp"))[:5]]
    made = make_non_scenes(
        {"people": 3, "portraits": 3}, side=64, seed=2, material=Material(photos=[GREEN], people=people)
    )
    assert made.pixels.std((1, 2, 3)).min() > 5


def _opened(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return image.convert("RGBA")
