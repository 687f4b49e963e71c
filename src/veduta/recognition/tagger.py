"""A model that tells what place a photo shows."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from veduta.errors import BundleIncompatible, NoAnswer, UsageError
from veduta.images.decode import Limits, Photo, decode, read_bytes
from veduta.images.preprocess import Preprocessing, prepare
from veduta.labels.taxonomy import Taxonomy
from veduta.models.bundle import Bundle, Head
from veduta.models.session import Precision, Runtime, Session
from veduta.models.store import find
from veduta.recognition.attributes import AttributeReading
from veduta.recognition.scoring import (
    CoarseSums,
    EnvironmentReading,
    best,
    drop_mask,
    mask_and_renormalise,
    probabilities,
)
from veduta.records import Attribute, Evidence, Facts, Prediction

DEFAULT_MODEL = "places100"

#: Heat maps are made of images of up to 2.25 times the area (``veduta.explanation.saliency``).
_MAP_SIDE = 1.5

#: What a photo may be given as: a file's path, the bytes of a file, or an image in memory.
Source = str | Path | bytes | Image.Image


def load(
    model: str | Path = DEFAULT_MODEL,
    *,
    precision: Precision = "float32",
    threads: int | None = None,
    runtime: Runtime = "openvino",
    taxonomy: Path | None = None,
    drop: Sequence[str] = (),
    top_k: int = 5,
    embedding: bool = False,
    attributes: bool = False,
    size: int | None = None,
) -> Tagger:
    """Load a model by its name in the store, or by the folder of its bundle.

    ``taxonomy`` is a file of coarse labels instead of the shipped one. ``drop`` names classes that can't be meant;
    the others share their probability. ``threads`` None takes all that this process may use. ``attributes`` asks for
    the ten most probable attributes of each photo.
    ``size`` is the side in pixels to shrink photos to, instead of the model's own: fewer pixels take less time and know
    less. Temperature and evidence's threshold were chosen at the model's own size, so at another one the probabilities
    no longer count as calibrated.

    Raises BundleError where the model can't be used, UsageError for an unknown class in ``drop``, a size that is not
    possible, or attributes of a model that tells none, TaxonomyError.
    """
    bundle = Bundle.load(find(str(model)))
    session = Session(bundle.graph, precision=precision, threads=threads, runtime=runtime)
    return Tagger(
        bundle,
        session,
        taxonomy=Taxonomy.load(taxonomy),
        drop=drop,
        top_k=top_k,
        embedding=embedding,
        attributes=attributes,
        size=size,
    )


class Tagger:
    """Photos in, predictions out.

    Attributes:
        bundle: the model on disk.
        session: its graph, compiled; shared with heat maps.
        labels: the labels of the first head, with the coarse labels of the taxonomy.
        preprocessing: what to ask the decoder for.
        calibrated: whether the first head has a temperature, and photos are seen at the size that it was chosen at.
        attributes: whether attributes were asked for.
    """

    def __init__(
        self,
        bundle: Bundle,
        session: Session,
        *,
        taxonomy: Taxonomy,
        drop: Sequence[str] = (),
        top_k: int = 5,
        embedding: bool = False,
        attributes: bool = False,
        size: int | None = None,
    ) -> None:
        if bundle.kind != "classifier":
            raise BundleIncompatible(f"{bundle.name} is a model of kind {bundle.kind}; tagging needs a classifier.")
        if top_k < 1:
            raise UsageError(f"top_k is {top_k}; ask for at least one label.")
        if embedding and bundle.embedding is None:
            raise UsageError(f"the model {bundle.name} has no embedding; choose one that has, such as {DEFAULT_MODEL}.")
        self.bundle, self.session, self.top_k, self.drop = bundle, session, top_k, tuple(drop)
        self.taxonomy, self.attributes = taxonomy, attributes
        self.head: Head = bundle.heads[0]
        self.labels = taxonomy.apply(self.head.labels)
        own = bundle.preprocessing
        self.preprocessing: Preprocessing = own if size is None else own.resized(size)
        self.calibrated = self.head.temperature is not None and self.preprocessing == own
        self.coarse_sums = CoarseSums(self.labels)
        self._keep = drop_mask(self.labels, drop)
        self._read_environment = EnvironmentReading(self.labels)
        self._attribute_heads = [head for head in bundle.heads[1:] if head.task == "multi_label"]
        table = bundle.attribute_table() if attributes else None
        if attributes and table is None and not self._attribute_heads:
            raise UsageError(
                f"the model {bundle.name} tells no attributes; choose one that does, such as {DEFAULT_MODEL}. A model "
                "that was trained on attributes tells them as its labels, unasked."
            )
        self._read_attributes = None if table is None else AttributeReading(table)
        self._keep_embedding = embedding
        features = embedding or (self._read_attributes is not None and self._read_attributes.needs_embedding)
        self._embedding = bundle.embedding.name if features and bundle.embedding else None
        self._outputs = [self.head.logits, *(head.logits for head in bundle.heads[1:])]
        if self._embedding:
            self._outputs.append(self._embedding)
        if bundle.evidence:
            self._outputs.append(bundle.evidence.output)

    @property
    def tells_attributes(self) -> bool:
        """Whether predictions have attributes: they were asked for, or a head of the model is about them."""
        return self.attributes or bool(self._attribute_heads)

    def predict(self, source: Source, *, limits: Limits | None = None) -> Prediction:
        """What one photo shows. Raises PhotoError where it can't be read."""
        if isinstance(source, Image.Image):
            upright = ImageOps.exif_transpose(source).convert("RGB")
            pixels, crop = prepare(upright, self.preprocessing, upright.size)
            return self._predict([pixels], [Facts("memory", *upright.size)], [crop])[0]
        limits = limits or Limits()
        data = source if isinstance(source, bytes) else read_bytes(source, limits)
        name = "the photo" if isinstance(source, bytes) else str(source)
        return self.predict_photos([decode(data, [self.preprocessing], limits, name)])[0]

    def warm_up(self) -> None:
        """Compile the graph now, as the first prediction otherwise would; raises the same errors."""
        for height, width in self.preprocessing.sizes:
            self.session.prepare(height, width, self._outputs)

    def needed_bytes(self) -> int:
        """The memory in bytes that it takes at most with one compiled network, for predictions or a heat map.

        The graph is read for it; raises BundleIncompatible where the runtime can't.
        """
        sizes = self.preprocessing.sizes
        needed = max(self.session.needed_bytes(height, width, self._outputs) for height, width in sizes)
        if self.head.class_maps is not None:
            height, width = max(sizes, key=lambda size: size[0] * size[1])
            larger = int(_MAP_SIDE * height), int(_MAP_SIDE * width)
            # A graph that takes one size alone gives no heat maps of another; it can predict all the same.
            with suppress(BundleIncompatible):
                needed = max(needed, self.session.needed_bytes(*larger, [self.head.class_maps]))
        return needed

    def predict_photos(self, photos: Sequence[Photo], index: int = 0) -> list[Prediction]:
        """Predictions for decoded photos; ``photo.inputs[index]`` was made by this tagger's preprocessing.

        Raises NoAnswer where the model gives no number for one of them.
        """
        if not photos:
            return []
        images = [photo.pixels(index) for photo in photos]
        return self._predict(images, [photo.facts for photo in photos], [photo.boxes[index] for photo in photos])

    def _predict(
        self,
        images: Sequence[NDArray[np.uint8]],
        facts: Sequence[Facts],
        crops: Sequence[tuple[float, float, float, float]],
    ) -> list[Prediction]:
        outputs = self.session.run(images, self._outputs)
        if not all(np.isfinite(values).all() for values in outputs.values()):
            raise NoAnswer(
                f"The model {self.bundle.name} gives no number for the photo; check the model with another photo, or "
                "use float32."
            )
        head = self.head
        scene = probabilities(outputs[head.logits], head.task, head.temperature)
        if self.drop:
            scene = mask_and_renormalise(scene, self._keep) if head.task == "single_label" else scene * self._keep
        coarse = self.coarse_sums(scene) if self._sums_up else None
        embeddings = outputs[self._embedding] if self._embedding else None
        attributes = self._attributes(outputs, scene, embeddings)
        return [
            Prediction(
                model=self.bundle.name,
                bundle_id=self.bundle.bundle_id,
                precision=self.session.precision,
                facts=facts[row],
                crop=crops[row],
                scores=best(scene[row], self.labels, self.top_k),
                calibrated=self.calibrated,
                coarse=best(coarse[row], self.coarse_sums.labels, self.top_k) if coarse is not None else None,
                environment=self._read_environment(scene[row]) if head.task == "single_label" else None,
                attributes=attributes[row],
                evidence=self._evidence(outputs, row),
                embedding=embeddings[row] if embeddings is not None and self._keep_embedding else None,
                probabilities=scene[row],
            )
            for row in range(len(images))
        ]

    @property
    def _sums_up(self) -> bool:
        # Probabilities of several labels at once do not add up to one, so neither would their sums mean anything.
        return self.head.task == "single_label" and bool(self.coarse_sums.labels)

    def _attributes(
        self,
        outputs: dict[str, NDArray[np.float32]],
        scene: NDArray[np.float32],
        embeddings: NDArray[np.float32] | None,
    ) -> list[tuple[Attribute, ...] | None]:
        """By the bundle's table where that was asked for, else by its further multi-label heads."""
        read = self._read_attributes
        if read is None:
            return self._of_further_heads(outputs, len(scene))
        return [read(row, None if embeddings is None else embeddings[place]) for place, row in enumerate(scene)]

    def _of_further_heads(
        self, outputs: dict[str, NDArray[np.float32]], count: int
    ) -> list[tuple[Attribute, ...] | None]:
        """The labels of the further multi-label heads that reach their thresholds, best first."""
        if not self._attribute_heads:
            return [None] * count
        found: list[list[Attribute]] = [[] for _ in range(count)]
        for head in self._attribute_heads:
            present = probabilities(outputs[head.logits], head.task, head.temperature)
            thresholds = np.array([head.thresholds.get(label.id, 0.5) for label in head.labels], np.float32)
            for row, column in np.argwhere(present >= thresholds):
                found[row].append(Attribute(head.labels[column], float(present[row, column]), "photo"))
        return [tuple(sorted(each, key=lambda attribute: -attribute.probability)) for each in found]

    def _evidence(self, outputs: dict[str, NDArray[np.float32]], row: int) -> Evidence | None:
        spec = self.bundle.evidence
        if spec is None:
            return None
        value = float(outputs[spec.output][row])
        fits = value >= spec.threshold
        return Evidence(value, spec.threshold, fits, None if fits else spec.reason)
