"""Pictures that show no place, made from a seed: what a model's evidence is chosen against.

Photos of cats or of tools would be a test; to choose a method on them is to fit it to them. These pictures are drawn
instead, in families that differ as much as can be: noise and textures, pages and drawings, solids, things and people
before a soft ground, magnified and blurred photos, and the sample pictures of scikit-image and scikit-learn.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from veduta.errors import UsageError
from veduta.training.paint import (
    RGB,
    chart,
    colours,
    fractal_noise,
    gradient,
    line_drawing,
    page,
    pattern,
    plain_noise,
    shaded_things,
    strands,
)

#: Each picture is painted this much larger and then reduced, as a camera's are.
_OVERSAMPLING = 2


@dataclass(frozen=True, slots=True)
class Material:
    """What some families are made from.

    ``photos`` are uint8 ``[h, w, 3]`` of any sizes (magnified and blurred ones, soft grounds), ``people`` images with
    transparency, ``pictures`` uint8 ``[h, w, 3]`` that show no scene.
    """

    photos: Sequence[NDArray[np.uint8]] = ()
    people: Sequence[Image.Image] = ()
    pictures: Sequence[NDArray[np.uint8]] = ()


@dataclass(frozen=True, slots=True)
class NonScenes:
    """Made pictures: ``pixels`` uint8 ``[n, side, side, 3]`` and the family of each."""

    pixels: NDArray[np.uint8]
    families: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.families)

    def of(self, family: str) -> NDArray[np.uint8]:
        """The pixels ``[m, side, side, 3]`` of one family."""
        chosen: NDArray[np.uint8] = self.pixels[np.array([each == family for each in self.families], bool)]
        return chosen


def families(material: Material) -> tuple[str, ...]:
    """The names of the families that can be made from this material."""
    return tuple(
        name for name, family in _FAMILIES.items() if all(len(getattr(material, each)) for each in family.needs)
    )


def make_non_scenes(
    counts: int | Mapping[str, int], *, side: int = 128, seed: int = 0, material: Material | None = None
) -> NonScenes:
    """Make ``counts`` pictures of each family, or of each named one its own number.

    A picture depends on the seed, its family, its place in the family, the side and the material, and on nothing else.
    Raises UsageError for an unknown family, or one whose material is not given.
    """
    material = material or Material()
    possible = families(material)
    wanted = dict.fromkeys(possible, counts) if isinstance(counts, int) else dict(counts)
    for name in wanted:
        if name not in _FAMILIES:
            raise UsageError(f"there is no family of non-scenes {name!r}; there are: {', '.join(_FAMILIES)}.")
        if name not in possible:
            needs = " and ".join(_FAMILIES[name].needs)
            raise UsageError(f"the non-scenes {name!r} are made from {needs}; give the material.")
    names = tuple(name for name, count in wanted.items() for _ in range(count))
    pixels = np.empty((len(names), side, side, 3), np.uint8)
    places = [place for count in wanted.values() for place in range(count)]
    for row, (name, place) in enumerate(zip(names, places, strict=True)):
        random = np.random.default_rng((seed, zlib.crc32(name.encode()), place))
        pixels[row] = _taken(_FAMILIES[name].paint(random, _OVERSAMPLING * side, material), side, random)
    return NonScenes(pixels, names)


def _noise(random: np.random.Generator, side: int, _material: Material) -> RGB:
    if random.random() < 0.5:
        return plain_noise(random, side)
    return fractal_noise(random, side, random.uniform(0.3, 2.5), channels=int(random.choice((1, 3))))


def _gradients(random: np.random.Generator, side: int, _material: Material) -> RGB:
    return gradient(random, side)


def _textures(random: np.random.Generator, side: int, _material: Material) -> RGB:
    return pattern(random, side)


def _fur(random: np.random.Generator, side: int, _material: Material) -> RGB:
    return strands(random, side)


def _documents(random: np.random.Generator, side: int, _material: Material) -> RGB:
    return page(random, side)


def _charts(random: np.random.Generator, side: int, _material: Material) -> RGB:
    return chart(random, side)


def _drawings(random: np.random.Generator, side: int, _material: Material) -> RGB:
    return line_drawing(random, side)


def _things(random: np.random.Generator, side: int, material: Material) -> RGB:
    return shaded_things(random, _ground(random, side, material))


def _people(random: np.random.Generator, side: int, material: Material) -> RGB:
    """One to three people before something soft or flat, mostly so near that they fill the picture."""
    image = Image.fromarray(_ground(random, side, material))
    for _ in range(int(random.choice((1, 1, 1, 2, 3)))):
        _paste_person(random, image, material, nearness=random.uniform(0.8, 2.0))
    return np.asarray(image)


def _portraits(random: np.random.Generator, side: int, material: Material) -> RGB:
    """People who hide at least half of a real photo, which is as it was or a little out of focus.

    Nothing else here has a photo's own grain in all its parts, as a photo of a pet or a friend in a room has.
    """
    photo = Image.fromarray(material.photos[int(random.integers(len(material.photos)))]).resize((side, side))
    if random.random() < 0.5:
        photo = photo.filter(ImageFilter.GaussianBlur(side * random.uniform(0.004, 0.03)))
    hidden = np.zeros((side, side), bool)
    while hidden.mean() < 0.5:
        hidden |= _paste_person(random, photo, material, nearness=random.uniform(1.2, 2.5))
    return np.asarray(photo)


def _paste_person(
    random: np.random.Generator, image: Image.Image, material: Material, *, nearness: float
) -> NDArray[np.bool_]:
    """Paste one person, ``nearness`` times as high as the picture, and return where."""
    side = image.height
    person = material.people[int(random.integers(len(material.people)))].convert("RGBA")
    person = person.crop(person.getchannel("A").getbbox())
    height = side * nearness
    width = max(8, round(person.width * height / person.height))
    person = person.resize((width, round(height)), Image.Resampling.BICUBIC)
    if random.random() < 0.5:
        person = person.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    left = round(side / 2 - width / 2 + side * random.normal(0, 0.15))
    place = (left, round(random.uniform(0.0, 0.2) * side))
    image.paste(person, place, person)
    covered = Image.new("L", image.size)
    covered.paste(255, place, person.getchannel("A"))
    return np.asarray(covered) > 127


def _close_ups(random: np.random.Generator, side: int, material: Material) -> RGB:
    """A small part of a photo, magnified 5 to 12 times."""
    photo = material.photos[int(random.integers(len(material.photos)))]
    height, width = photo.shape[:2]
    part = min(height, width) / random.uniform(5, 12)
    left, top = random.uniform(0, width - part), random.uniform(0, height - part)
    box = (left, top, left + part, top + part)
    return np.asarray(Image.fromarray(photo).resize((side, side), Image.Resampling.BICUBIC, box=box))


def _blurred(random: np.random.Generator, side: int, material: Material) -> RGB:
    return _soft_photo(random, side, material, least=0.06)


def _pictures(random: np.random.Generator, side: int, material: Material) -> RGB:
    """A large part of a sample picture, perhaps mirrored."""
    picture = material.pictures[int(random.integers(len(material.pictures)))]
    height, width = picture.shape[:2]
    part = min(height, width) * random.uniform(0.6, 1.0)
    left, top = random.uniform(0, width - part), random.uniform(0, height - part)
    image = Image.fromarray(picture).resize(
        (side, side), Image.Resampling.BICUBIC, (left, top, left + part, top + part)
    )
    return np.asarray(image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if random.random() < 0.5 else image)


def _ground(random: np.random.Generator, side: int, material: Material) -> RGB:
    """What lies behind a thing: one colour, a gradient, a pattern, soft noise or a photo out of focus."""
    kind = random.choice(("plain", "gradient", "pattern", "fractal", "photo", "photo"))
    if kind == "photo" and len(material.photos):
        return _soft_photo(random, side, material, least=0.02)
    match kind:
        case "plain":
            return np.broadcast_to(colours(random, 1), (side, side, 3)).astype(np.uint8)
        case "pattern":
            return pattern(random, side)
        case "fractal":
            return fractal_noise(random, side, random.uniform(1.5, 3.0), channels=3)
        case _:
            return gradient(random, side)


def _soft_photo(random: np.random.Generator, side: int, material: Material, *, least: float) -> RGB:
    """A photo blurred by a Gaussian of ``least`` to 0.15 of the side."""
    photo = Image.fromarray(material.photos[int(random.integers(len(material.photos)))]).resize((side, side))
    return np.asarray(photo.filter(ImageFilter.GaussianBlur(side * random.uniform(least, 0.15))))


def _taken(painted: RGB, side: int, random: np.random.Generator) -> RGB:
    """The painting as a file of a photo gives it: reduced, lit, and through JPEG, for training photos are that too."""
    image = Image.fromarray(painted).resize((side, side), Image.Resampling.BOX)
    lit = np.asarray(image).astype(np.float32) * random.uniform(0.7, 1.15) + random.normal(0, 2.0, (side, side, 3))
    file = io.BytesIO()
    Image.fromarray(np.clip(lit, 0, 255).astype(np.uint8)).save(file, "JPEG", quality=int(random.integers(70, 96)))
    return np.asarray(Image.open(file).convert("RGB"))


@dataclass(frozen=True, slots=True)
class _Family:
    paint: Callable[[np.random.Generator, int, Material], RGB]
    needs: tuple[str, ...] = ()


_FAMILIES = {
    "noise": _Family(_noise),
    "gradients": _Family(_gradients),
    "textures": _Family(_textures),
    "fur": _Family(_fur),
    "documents": _Family(_documents),
    "charts": _Family(_charts),
    "drawings": _Family(_drawings),
    "things": _Family(_things),
    "people": _Family(_people, ("people",)),
    "portraits": _Family(_portraits, ("people", "photos")),
    "close_ups": _Family(_close_ups, ("photos",)),
    "blurred": _Family(_blurred, ("photos",)),
    "pictures": _Family(_pictures, ("pictures",)),
}
