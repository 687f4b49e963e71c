"""People who stand before what a photo shows: cut out once, and pasted into training photos at random."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from veduta.errors import PhotoError, UsageError
from veduta.images.decode import Limits, read_bytes
from veduta.images.limits import printable
from veduta.images.pillow import check_size, quiet

#: The share of a photo that a pasted person may cover, the least and the most.
COVER = (0.08, 0.4)

# Larger ones are shrunk when they are read: they are pasted into photos of some 300 pixels.
_MOST_SIDE = 512
# So often they stand on the lower edge, as in most photos of people.
_STANDING = 0.7


@dataclass(frozen=True, slots=True)
class People:
    """Cut-out people, RGBA images without an empty margin."""

    cutouts: tuple[Image.Image, ...]

    @classmethod
    def read(cls, folder: Path) -> People:
        """The PNG and WebP files of a folder that have transparency, by name.

        Raises UsageError where there is none; files that can't be read or are opaque are passed over.
        """
        found = [cutout for path in sorted(folder.glob("*")) if (cutout := _read(path)) is not None]
        if not found:
            raise UsageError(
                f"{printable(str(folder))} has no cut-out people; give a folder of PNG or WebP files with transparency."
            )
        return cls(tuple(found))

    def paste(self, photo: Image.Image, random: np.random.Generator, cover: tuple[float, float] = COVER) -> Image.Image:
        """The photo with one of them in it: any, of any size that covers so much, either way round, anywhere."""
        cutout = self.cutouts[int(random.integers(len(self.cutouts)))]
        share = random.uniform(*cover)
        scale = math.sqrt(share * photo.width * photo.height / _area(cutout))
        width, height = max(1, round(cutout.width * scale)), max(1, round(cutout.height * scale))
        person = cutout.resize((width, height), Image.Resampling.BILINEAR)
        if random.random() < 0.5:
            person = person.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        left = round(random.uniform(0, 1) * (photo.width - width))
        lowest = photo.height - height
        # Who is taller than the photo shows his head and not his feet.
        top = max(0, lowest) if random.random() < _STANDING else round(random.uniform(0, 1) * max(0, lowest))
        together = photo.copy()
        together.paste(person, (left, top), person)
        return together


def split_people(people: People, share: float) -> tuple[People, People]:
    """Those to train with, and those to judge with, whom no training saw: the last ``share`` of them."""
    kept = max(1, min(len(people.cutouts) - 1, round(len(people.cutouts) * (1 - share))))
    return People(people.cutouts[:kept]), People(people.cutouts[kept:] or people.cutouts)


def paste_all(photos: Sequence[np.ndarray], people: People, seed: int, cover: tuple[float, float]) -> list[np.ndarray]:
    """Each photo uint8 ``[h, w, 3]`` with a person in it, drawn from (seed, its place)."""
    return [
        np.asarray(people.paste(Image.fromarray(photo), np.random.default_rng((seed, place)), cover))
        for place, photo in enumerate(photos)
    ]


def _read(path: Path) -> Image.Image | None:
    import io

    try:
        with quiet():
            image = Image.open(io.BytesIO(read_bytes(path)), formats=("PNG", "WEBP"))
            check_size(image.size, Limits(), path.name)
            cutout = image.convert("RGBA")
    except (PhotoError, OSError, ValueError, SyntaxError):
        return None
    alpha = cutout.getchannel("A")
    box = alpha.point(lambda value: 255 * (value > 127)).getbbox()
    if box is None or alpha.getextrema()[0] == 255:
        return None
    cutout = cutout.crop(box)
    cutout.thumbnail((_MOST_SIDE, _MOST_SIDE), Image.Resampling.BICUBIC)
    return cutout


def _area(cutout: Image.Image) -> float:
    """Pixels that are covered."""
    return max(1.0, float(np.asarray(cutout.getchannel("A"), np.float32).sum()) / 255)
