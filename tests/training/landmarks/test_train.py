"""A training of landmarks from photos to a model, small enough for a test."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from veduta.errors import TrainingError, UsageError
from veduta.models.session import Session
from veduta.training.landmarks.train import SCHEDULE, LandmarkRecipe, train_embedding


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two landmarks by their pattern, and photos of noise."""
    random = np.random.default_rng(0)
    rows, columns = np.mgrid[0:64, 0:64]
    for name, count in (("data/striped", 12), ("data/chequered", 12), ("others", 16)):
        (tmp_path / name).mkdir(parents=True)
        for number in range(count):
            pattern = {
                "data/striped": (columns // 8 % 2) * 200,
                "data/chequered": ((columns // 16 + rows // 16) % 2) * 200,
                "others": random.integers(0, 255, (64, 64)),
            }[name]
            pixels = np.stack([pattern] * 3, axis=2) + random.normal(0, 10, (64, 64, 3))
            Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(tmp_path / name / f"{number}.png")
    return tmp_path


@pytest.mark.parametrize("loss", ["arcface", "center"])
def test_a_model_of_kind_embedding_comes_out_and_its_vectors_have_length_one(photos: Path, loss: str) -> None:
    recipe = LandmarkRecipe(
        size=64,
        embedding=16,
        loss="center" if loss == "center" else "arcface",
        outliers=0.05,
        validation=0.2,
        schedule=replace(SCHEDULE, side=64, epochs=1, batch_size=8, train_last=1),
    )
    said: list[str] = []
    from veduta.training.progress import Progress

    bundle = train_embedding(
        photos / "data", [str(photos / "others")], photos / "run", recipe, progress=Progress(note=said.append)
    )
    assert bundle.kind == "embedding"
    images = np.random.default_rng(1).integers(0, 256, (3, 64, 64, 3), np.uint8)
    vectors = Session(bundle.graph).run(images, ["embedding"])["embedding"]
    assert vectors.shape == (3, 16)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3)
    assert (photos / "run" / "dropped.csv").is_file()
    assert any("dropped" in sentence for sentence in said)


@pytest.mark.parametrize(
    "asked", [{"loss": "moon"}, {"outliers": 0.5}, {"margin": 2.0}, {"embedding": 4}, {"validation": 0.0}]
)
def test_a_recipe_that_can_not_be_meant_is_refused(asked: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        LandmarkRecipe(**asked)  # type: ignore[arg-type]


def test_without_photos_of_no_landmark_nothing_is_trained(photos: Path) -> None:
    (photos / "empty").mkdir()
    with pytest.raises(UsageError):
        train_embedding(photos / "data", [str(photos / "empty")], photos / "run")
    assert not (photos / "run" / "bundle").exists()


def test_too_few_photos_for_the_embedding_are_told_before_the_training(photos: Path) -> None:
    recipe = LandmarkRecipe(size=64, embedding=64, schedule=replace(SCHEDULE, side=64, epochs=1, batch_size=8))
    with pytest.raises(TrainingError, match="40 photos are too few for an embedding of 64 numbers"):
        train_embedding(photos / "data", [str(photos / "others")], photos / "run", recipe)
    assert not (photos / "run" / "log.jsonl").exists()


def test_a_landmark_without_a_photo_that_can_be_decoded_is_told_before_the_training(photos: Path) -> None:
    for path in (photos / "data" / "striped").iterdir():
        path.write_bytes(b"no photo")
    recipe = LandmarkRecipe(size=64, embedding=16, schedule=replace(SCHEDULE, side=64, epochs=1, batch_size=8))
    with pytest.raises(UsageError, match="no photo of striped is left"):
        train_embedding(photos / "data", [str(photos / "others")], photos / "run", recipe)
