"""Why a photo got its label: one call from a photo to pictures that show the region."""

from __future__ import annotations

import difflib
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from veduta.errors import UsageError
from veduta.explanation import segment
from veduta.explanation.overlay import overlay
from veduta.explanation.saliency import (
    MapMaker,
    Method,
    MethodChoice,
    explained_head,
    heat_maps,
    map_preprocessing,
)
from veduta.images.decode import Limits, Thumbnail, decode, read_bytes
from veduta.images.preprocess import prepare
from veduta.labels.translations import LANGUAGES, name_of
from veduta.recognition.tagger import Source, Tagger
from veduta.records import Label, Prediction, Score

#: The longer side of the picture that is shown, in pixels.
DISPLAY_SIDE = 1280


@dataclass(frozen=True, slots=True, eq=False)
class Explanation:
    """A photo, one of its labels, and the map of where in the photo that label comes from.

    ``photo`` is the whole photo, upright RGB, at most 1280 pixels long; ``values`` is float32 ``[h', w']`` in [0, 1]
    over all of it; ``label`` tells what is explained and how probable it is; ``method`` names how the map was made.
    """

    photo: Image.Image
    values: NDArray[np.float32]
    label: Score
    method: Method

    def overlay(self, opacity: float = 0.6) -> Image.Image:
        """The photo with the map in colour over it."""
        return overlay(self.photo, self.values, opacity)

    def mask(self, threshold: float = segment.THRESHOLD) -> Image.Image:
        """White where the map is at least ``threshold``, else black: mode L, of the photo's size."""
        inside = segment.region(self.values, self.photo.size, threshold)
        return Image.fromarray(inside.astype(np.uint8) * 255)

    def segmentation(self, threshold: float = segment.THRESHOLD) -> Image.Image:
        """The photo, dimmed outside the region where the map is at least ``threshold``, with a line around it."""
        return segment.segmentation(self.photo, segment.region(self.values, self.photo.size, threshold))

    def side_by_side(self, opacity: float = 0.6, threshold: float = segment.THRESHOLD) -> Image.Image:
        """Photo, overlay and segmentation in a row."""
        return segment.side_by_side([self.photo, self.overlay(opacity), self.segmentation(threshold)])


def explain(
    tagger: Tagger,
    source: Source,
    label: str | None = None,
    *,
    method: MethodChoice | MapMaker = "auto",
    limits: Limits | None = None,
) -> Explanation:
    """Show which part of a photo speaks for a label.

    ``source`` is a path, the bytes of a file, or an image. ``label`` is an id or a name of the tagger's labels; without
    it the most probable one is explained. ``method``: ``class maps``, ``occlusion``, ``auto`` for the first that the
    model offers, or a maker of maps for the tagger's bundle (``veduta.training.grad_cam.GradCam``). Raises
    ``UsageError`` for an unknown label or method, a ``PhotoError`` where the photo can't be read.
    """
    head = explained_head(tagger.bundle)
    index = None if label is None else find_label(head.labels, label)
    prediction, pixels, shown = _seen(tagger, source, limits or Limits())
    probabilities = prediction.probabilities
    assert probabilities is not None
    if index is None:
        index = int(probabilities.argmax())
    values, used = heat_maps(tagger.session, tagger.bundle, pixels[None], [index], method=method)
    return Explanation(shown, values[0], Score(tagger.labels[index], float(probabilities[index])), used)


def find_label(labels: Sequence[Label], wanted: str) -> int:
    """The position of the label with this id or, case aside, this name in any of Veduta's languages.

    Raises ``UsageError`` with near misses.
    """
    for index, each in enumerate(labels):
        if each.id == wanted:
            return index
    known: dict[str, int] = {}
    for index, each in enumerate(labels):
        for name in (each.id, each.name, *(name_of(each, language) for language in LANGUAGES)):
            known.setdefault(_plain(name), index)
    plain = _plain(wanted)
    if plain in known:
        return known[plain]
    near = difflib.get_close_matches(plain, known, n=4, cutoff=0.5)
    near += [name for name in known if plain and plain in name]
    misses = list(dict.fromkeys(labels[known[name]].id for name in near))[:4]
    hint = f"did you mean {', '.join(misses)}?" if misses else "`veduta models info` lists the labels."
    raise UsageError(f"{wanted!r} is none of the model's {len(labels)} labels; {hint}")


def _plain(text: str) -> str:
    return " ".join(text.casefold().replace("_", " ").replace("/", " ").replace("-", " ").split())


def _seen(tagger: Tagger, source: Source, limits: Limits) -> tuple[Prediction, NDArray[np.uint8], Image.Image]:
    """What the tagger says, the input for the map, and the picture to show, from one decoding."""
    wanted = map_preprocessing(tagger.bundle)
    if isinstance(source, Image.Image):
        upright = ImageOps.exif_transpose(source).convert("RGB")
        shown = upright.copy()
        shown.thumbnail((DISPLAY_SIDE, DISPLAY_SIDE), Image.Resampling.BICUBIC)
        return tagger.predict(upright), prepare(upright, wanted, upright.size)[0], shown
    data = source if isinstance(source, bytes) else read_bytes(source, limits)
    name = "the photo" if isinstance(source, bytes) else str(source)
    photo = decode(data, [tagger.preprocessing, wanted, Thumbnail(DISPLAY_SIDE, quality=92)], limits, name)
    pixels, encoded = photo.inputs[1], photo.inputs[2]
    assert isinstance(pixels, np.ndarray)
    assert isinstance(encoded, bytes)
    return tagger.predict_photos([photo])[0], pixels, Image.open(io.BytesIO(encoded)).convert("RGB")
