"""A tagger whose answers come from the pixels by a formula, and a job with it as a program that a test can kill."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from PIL import Image

from veduta.images.decode import Photo
from veduta.images.preprocess import Preprocessing
from veduta.jobs.ledger import Ledger
from veduta.jobs.pipeline import Options, tag_photos
from veduta.jobs.plan import layout_of
from veduta.jobs.writers import open_writer
from veduta.records import Attribute, Environment, Evidence, Label, Prediction, Sample, Score

LABELS = (
    Label("kitchen", "kitchen", "indoor", "home"),
    Label("bar", "bar", "indoor", "restaurant"),
    Label("forest/path", "forest path", "outdoor", "forest"),
    Label("beach", "beach", "outdoor", "water"),
)
ATTRIBUTES = (Label("bar", "where drinks are served"), Label("dark", "dark"))
COARSE = tuple(Label(name, name) for name in ("home", "restaurant", "forest", "water"))


class Ancestors:
    """Everything indoors is a building."""

    def ancestors(self, coarse_id: str) -> tuple[str, ...]:
        return ("building",) if coarse_id in ("home", "restaurant") else ()


@dataclass
class MadeTagger:
    """Four labels; the probabilities follow the mean colour. ``asked`` counts the photos that were predicted."""

    name: str = "made"
    top_k: int = 3
    drop: tuple[str, ...] = ()
    precision: str = "float32"
    side: int = 8
    dimension: int = 6
    pause: float = 0.0
    attributes: bool = False
    asked: int = 0
    warmed: int = 0
    sizes: list[int] = field(default_factory=list)
    labels: tuple[Label, ...] = LABELS
    taxonomy: Ancestors = field(default_factory=Ancestors)

    def __post_init__(self) -> None:
        head = SimpleNamespace(labels=LABELS, task="single_label", class_maps="class_maps", logits="logits")
        self.head = SimpleNamespace(**vars(head), temperature=1.0, thresholds={})
        self.preprocessing = Preprocessing("crop", ((self.side, self.side),), "bilinear", self.side)
        self.bundle = SimpleNamespace(
            name=self.name,
            bundle_id=f"id-{self.name}",
            heads=(self.head,),
            embedding=SimpleNamespace(name="embedding", shape=(self.dimension,)),
            attributes=SimpleNamespace(labels=ATTRIBUTES),
            preprocessing=self.preprocessing,
            path=Path("made"),
        )
        self.session = SimpleNamespace(precision=self.precision, runtime="made", run=self._run)
        self.coarse_sums = SimpleNamespace(labels=COARSE)

    @property
    def tells_attributes(self) -> bool:
        return self.attributes

    def warm_up(self) -> None:
        self.warmed += 1

    def predict_photos(self, photos: Sequence[Photo], index: int = 0) -> list[Prediction]:
        self.asked += len(photos)
        self.sizes.append(len(photos))
        time.sleep(self.pause)
        return [self._predict(photo, index) for photo in photos]

    def _predict(self, photo: Photo, index: int) -> Prediction:
        pixels = np.asarray(photo.inputs[index])
        means = pixels.reshape(-1, 3).astype(np.float64).mean(axis=0) / 32
        logits = np.array([*means, means.sum() / 3])
        raised = np.exp(logits - logits.max())
        chances = (raised / raised.sum()).astype(np.float32)
        order = np.argsort(-chances, kind="stable")[: self.top_k]
        outdoor = float(chances[2] + chances[3])
        value = float(means.mean())
        return Prediction(
            model=self.name,
            bundle_id=self.bundle.bundle_id,
            precision=self.precision,
            facts=photo.facts,
            crop=photo.boxes[index],
            scores=tuple(Score(LABELS[at], float(chances[at])) for at in order),
            calibrated=True,
            coarse=tuple(Score(COARSE[at], float(chances[at])) for at in order),
            environment=Environment("outdoor" if outdoor >= 0.5 else "indoor", outdoor, 0.5),
            attributes=(
                (Attribute(ATTRIBUTES[0], float(chances[1]), "scene"), Attribute(ATTRIBUTES[1], 0.125, "photo"))
                if self.attributes
                else None
            ),
            evidence=Evidence(value, 1.0, value >= 1.0, None if value >= 1.0 else "too dark to tell"),
            embedding=np.resize(means, self.dimension).astype(np.float32),
            probabilities=chances,
        )

    def _run(self, images: Any, outputs: Sequence[str]) -> dict[str, Any]:
        pixels = np.asarray(images, np.float32)
        maps = np.stack([pixels.mean(axis=3) * (k + 1) for k in range(4)], axis=1)[:, :, ::8, ::8]
        return {"logits": maps.mean(axis=(2, 3)), "class_maps": maps}


def make_photos(folder: Path, count: int, side: int = 24) -> list[Sample]:
    """So many small photos of different content, in the order of their names."""
    folder.mkdir(parents=True, exist_ok=True)
    chance = np.random.default_rng(7)
    for number in range(count):
        colours = chance.integers(0, 256, (3, 3, 3), dtype=np.uint8)
        photo = Image.fromarray(colours).resize((side, side), Image.Resampling.BICUBIC)
        photo.save(folder / f"{number:05d}.jpg", quality=90)
    return [Sample(str(path)) for path in sorted(folder.iterdir())]


def main(folder: str, out: str, ledger_path: str, pause: str) -> None:
    """Tag a folder as ``veduta tag`` would, slowly enough to be killed."""
    tagger: Any = MadeTagger(pause=float(pause))
    options = Options(batch=8)
    samples = [Sample(str(path)) for path in sorted(Path(folder).iterdir())]
    layout = layout_of([tagger])
    with Ledger.open(Path(ledger_path)) as ledger:
        sink = open_writer(Path(out), layout)
        summary = tag_photos(samples, [tagger], ledger=ledger, sinks=[sink], workers=1, options=options)
        sys.stdout.write(f"{summary.total} {summary.answered} {summary.failed} {summary.from_ledger} {tagger.asked}\n")
        sys.stdout.write(f"{ledger.recovered or ''}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
