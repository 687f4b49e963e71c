"""``veduta generate``, and ``veduta train --synthetic``, as a user gives them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

pytest.importorskip("torch", reason="the extra train is not installed")

from veduta.cli.main import app
from veduta.datasets.manifest import read_data
from veduta.errors import BundleIncompatible, TrainingError, UsageError, VedutaError

Run = Callable[..., Result]
FEW = ("--preset", "dense", "--size", "32", "--filters", "16", "--batch-size", "8", "--precision", "float32")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(each) for each in arguments])


def refused(kind: type[VedutaError], *arguments: object) -> str:
    done = run(*arguments)
    assert isinstance(done.exception, kind), (done.exception, done.output)
    return str(done.exception)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Class folders: a blue place and a green one, 20 photos each."""
    root = tmp_path_factory.mktemp("photos")
    random = np.random.default_rng(0)
    for name, colour in (("coast", (60, 90, 200)), ("rainforest", (50, 160, 60))):
        (root / name).mkdir()
        for number in range(20):
            rough = random.normal(0, 30, (6, 6, 3)).repeat(8, axis=0).repeat(8, axis=1)
            Image.fromarray(np.clip(np.array(colour) + rough, 0, 255).astype(np.uint8)).save(
                root / name / f"{number}.png"
            )
    return root


@pytest.fixture(scope="module")
def trained(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    """The run's folder of a tiny generator, and what was told of it."""
    out = tmp_path_factory.mktemp("run")
    done = run("generate", "train", photos, "--out", out, *FEW, "--steps", 4, "--look-steps", 2, "--threads", 1)
    assert done.exit_code == 0, done.output
    return out, done


def test_a_training_tells_each_look_and_where_the_generator_is(trained: tuple[Path, Result]) -> None:
    out, done = trained
    assert "36 photos of 2 classes to learn from, 4 held out" in done.stderr
    assert "step 4, epoch 1" in done.stderr
    assert "the discriminator calls" in done.stderr
    assert f"veduta generate sample {out / 'bundle'}" in done.stderr
    assert (out / "samples.png").is_file()


def test_more_steps_go_on_where_it_ended(photos: Path, trained: tuple[Path, Result], tmp_path: Path) -> None:
    import shutil

    shutil.copytree(trained[0], tmp_path / "run")
    again = run("generate", "train", photos, "--out", tmp_path / "run", *FEW, "--steps", 6, "--look-steps", 2)
    assert again.exit_code == 0
    steps = [json.loads(line)["step"] for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert steps == [2, 4, 6]
    words = refused(TrainingError, "generate", "train", photos, "--out", tmp_path / "run", "--preset", "fastgan")
    assert "was begun with the network dense, not fastgan" in words


def test_a_sample_is_a_marked_set_of_the_classes_that_were_asked_for(
    trained: tuple[Path, Result], tmp_path: Path
) -> None:
    bundle = trained[0] / "bundle"
    done = run("generate", "sample", bundle, "--class", "Coast", "--count", 5, "--seed", 7, "--out", tmp_path / "made")
    assert done.exit_code == 0, done.output
    manifest = read_data(tmp_path / "made")
    assert manifest.counts() == {"coast": 5}
    assert all(entry.synthetic for entry in manifest.entries)
    assert all(Path(entry.path).is_file() for entry in manifest.entries)
    assert b"trainedAlgorithmicMedia" in Path(manifest.entries[0].path).read_bytes()
    assert (tmp_path / "made" / "grid.png").is_file()
    words = refused(UsageError, "generate", "sample", bundle, "--count", 6, "--out", tmp_path / "made")
    assert "is not empty" in words
    words = refused(UsageError, "generate", "sample", bundle, "--class", "beach", "--out", tmp_path / "other")
    assert "makes no 'beach'" in words
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("name", ["way.png", "way.webp"])
def test_a_way_is_a_strip_or_an_animation(trained: tuple[Path, Result], tmp_path: Path, name: str) -> None:
    bundle, out = trained[0] / "bundle", tmp_path / name
    done = run("generate", "interpolate", bundle, "--to", "rainforest", "--steps", 6, "--out", out)
    assert done.exit_code == 0, done.output
    with Image.open(out) as opened:
        if name == "way.png":
            assert opened.size == (6 * 64 + 10, 64)
        else:
            assert opened.n_frames == 10  # type: ignore[attr-defined]


def test_a_way_of_another_kind_is_refused(trained: tuple[Path, Result], tmp_path: Path) -> None:
    words = refused(UsageError, "generate", "interpolate", trained[0] / "bundle", "--out", tmp_path / "way.mp4")
    assert "end the name in .png" in words


def test_an_evaluation_tells_figures_and_leaves_pictures(
    photos: Path, trained: tuple[Path, Result], tmp_path: Path
) -> None:
    done = run(
        "generate", "evaluate", trained[0] / "bundle", photos, "--count", 20, "--json", "-", "--report", tmp_path / "r"
    )
    assert done.exit_code == 0, done.output
    figures = json.loads(done.stdout)
    assert figures["pictures"] == 20
    assert figures["recognised"]["top5"]["value"] <= 1
    assert sorted(each.name for each in (tmp_path / "r").iterdir()) == ["nearest.png", "photos.png", "sample.png"]
    told = run("generate", "evaluate", trained[0] / "bundle", photos, "--count", 20)
    assert "KID, 1000 times" in told.stdout
    assert "copies" in told.stdout


def test_a_generator_is_no_classifier_and_the_reverse(
    photos: Path, trained: tuple[Path, Result], tmp_path: Path
) -> None:
    bundle = trained[0] / "bundle"
    assert "tagging needs a classifier" in refused(BundleIncompatible, "tag", photos, "--model", bundle)
    assert "tagging needs a classifier" in refused(BundleIncompatible, "evaluate", bundle, photos)
    assert "generates nothing" in refused(
        BundleIncompatible, "generate", "sample", "places100", "--out", tmp_path / "a"
    )
    assert "generates nothing" in refused(BundleIncompatible, "generate", "evaluate", "places100", photos)
    told = run("models", "info", bundle)
    assert "colour pictures of 32×32, from 100 numbers each" in told.stdout
    assert "coast, rainforest" in told.stdout


@pytest.mark.parametrize(("options", "words"), [
    (("--preset", "dcgan", "--size", "128"), "makes pictures of 32 or 64 pixels, not 128"),
    (("--preset", "fastgna"), "near it: fastgan"),
    (("--classes", "coast,woods"), "no class 'woods'"),
    (("--rate", "0"), "rate must be above 0"),
    (("--filters", "3"), "multiple of 4"),
    (("--minutes", "0"), "needs 1 step or more"),
    (("--features", "mobilenet_v2="), "name the weights of mobilenet_v2"),
])  # fmt: skip
def test_what_cannot_be_meant_is_refused_before_any_work(
    photos: Path, tmp_path: Path, options: tuple[str, ...], words: str
) -> None:
    assert words in refused(UsageError, "generate", "train", photos, "--out", tmp_path / "run", *options)
    assert not (tmp_path / "run" / "checkpoint.pt").exists()


def test_a_training_with_generated_pictures_tells_both_and_decides(
    photos: Path, trained: tuple[Path, Result], tmp_path: Path
) -> None:
    done = run(
        "train", photos, "--out", tmp_path / "run", "--recipe", "transfer", "--views", 0, "--folds", 2,
        "--synthetic", trained[0] / "bundle", "--synthetic-share", 0.3,
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "photos alone: 100.0%" in done.stderr
    assert "with generated pictures:" in done.stderr
    assert "they are not kept, for it may be chance" in done.stderr
    assert (tmp_path / "run" / "bundle" / "model.json").is_file()
    words = refused(UsageError, "train", photos, "--out", tmp_path / "b", "--synthetic-share", 0.3)
    assert "count with --synthetic alone" in words
