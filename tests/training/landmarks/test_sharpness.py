"""How sharp a photo is says nothing of what it shows: not even where all landmarks were sharp in training, and all
others blurred."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from veduta.recognition.landmarks.recogniser import LandmarkRecogniser, PhotoEmbedder
from veduta.training.landmarks.train import SCHEDULE, LandmarkRecipe, train_embedding
from veduta.workflows.landmarks import build_index

pytestmark = pytest.mark.slow

LANDMARKS = ("great_pyramid_of_giza", "hagia_sophia", "clerigos", "alai_minar")
TRAINED, TESTED, SIZE = 24, 10, 160


def blurred(path: Path) -> bytes:
    """A photo that lost three quarters of its pixels in each direction, and was compressed."""
    file = io.BytesIO()
    photo = Image.open(path).convert("RGB")
    small = photo.resize((photo.width // 4, photo.height // 4), Image.Resampling.BILINEAR)
    small.resize(photo.size, Image.Resampling.BILINEAR).save(file, "JPEG", quality=40)
    return file.getvalue()


def some(folder: Path, first: int, count: int) -> list[Path]:
    found = sorted(each for each in folder.rglob("*") if each.suffix in (".jpg", ".webp", ".png"))
    return found[first :: max(1, len(found) // (first + count))][:count]


@pytest.fixture(scope="module")
def recogniser(tmp_path_factory: pytest.TempPathFactory, shared_data: Path, shared_weights: Path) -> LandmarkRecogniser:
    """Learnt from sharp landmarks and blurred others; the thresholds are chosen by sharp ones."""
    folder = tmp_path_factory.mktemp("sharpness")
    for name in LANDMARKS:
        (folder / "data" / name).mkdir(parents=True)
        for path in sorted((shared_data / "landmarks" / name).iterdir())[:TRAINED]:
            (folder / "data" / name / path.name).write_bytes(path.read_bytes())
    (folder / "others").mkdir()
    for path in some(shared_data / "sun27", 0, 120):
        (folder / "others" / f"{path.stem}.jpg").write_bytes(blurred(path))
    recipe = LandmarkRecipe(
        weights=shared_weights / "mobilenet_v2_imagenet.safetensors",
        size=SIZE,
        embedding=64,
        schedule=replace(SCHEDULE, side=SIZE, epochs=10, batch_size=32),
    )
    bundle = train_embedding(folder / "data", [str(folder / "others")], folder / "run", recipe)
    judging = [str(path) for path in some(shared_data / "sun_attributes" / "images", 0, 120)]
    embedder = PhotoEmbedder(bundle)
    index = build_index(folder / "made.landmarks", folder / "data", embedder, judging, false_alarms=0.05)
    return LandmarkRecogniser(embedder, index)


def found(recogniser: LandmarkRecogniser, shared_data: Path, blur: bool) -> float:
    """The share of photos, none of which was trained with, whose landmark is named."""
    right = []
    for name in LANDMARKS:
        for path in sorted((shared_data / "landmarks" / name).iterdir())[-TESTED:]:
            answer = recogniser.recognise(blurred(path) if blur else path)
            right.append(answer.landmark is not None and answer.landmark.id == name)
    return float(np.mean(right))


def test_a_blurred_landmark_is_still_found(recogniser: LandmarkRecogniser, shared_data: Path) -> None:
    sharp, blur = (found(recogniser, shared_data, each) for each in (False, True))
    print(f"sharp {sharp:.0%}, blurred {blur:.0%}")
    assert sharp >= 0.5
    assert blur >= 0.6 * sharp


def test_a_sharp_photo_of_none_is_still_refused(recogniser: LandmarkRecogniser, shared_data: Path) -> None:
    others = some(shared_data / "distractors", 0, 100)
    refused = np.mean([recogniser.recognise(path).landmark is None for path in others])
    print(f"refused {refused:.0%}")
    assert refused >= 0.9
