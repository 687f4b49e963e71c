"""Attributes in a bundle: read back as they were written, and refused where they do not fit it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from veduta.errors import BundleCorrupt
from veduta.images.preprocess import Preprocessing
from veduta.models.attribute_table import FILE, AttributeSpec, AttributeTable, Scaling
from veduta.models.bundle import Bundle, Head, OutputSpec, write_bundle
from veduta.records import Label

CLASSES, SIZE = 5, 8
SPEC = AttributeSpec(
    (Label("trees", "trees"), Label("natural_light", "natural light"), Label("fire", "fire")),
    ("photo", "photo", "scene"),
    0.75,
    {"photo": Scaling(1.5, 0.5), "scene": Scaling(1.25, 0.25)},
)
Write = Callable[..., Bundle]


def made_table(spec: AttributeSpec = SPEC, classes: int = CLASSES, size: int = SIZE) -> AttributeTable:
    random = np.random.default_rng(5)
    # Halves keep these as they are.
    frequencies = (random.integers(0, 9, (3, classes)) / 8).astype(np.float32)
    frequencies[:, 1] = np.nan
    weight = (random.integers(-8, 9, (3, size)) / 64).astype(np.float32)
    return AttributeTable(spec, frequencies, weight, np.array([0.25, 0.5, 0], np.float32))


@pytest.fixture
def write(tmp_path: Path, tiny_graph: Path, labels: tuple[Label, ...]) -> Write:
    def make(folder: str = "told", task: str = "single_label", **changes: Any) -> Bundle:
        given: dict[str, Any] = {"embedding": OutputSpec("embedding", SIZE), "attributes": made_table(), **changes}
        return write_bundle(
            tmp_path / folder, name="tiny", kind="classifier", graph=tiny_graph, card="",
            preprocessing=Preprocessing("crop", ((32, 32),), "bicubic", 40),
            heads=[Head("scene", task, labels, temperature=1.5)], **given,
        )  # fmt: skip

    return make


def changed(bundle: Bundle, change: Callable[[dict[str, Any]], object]) -> Path:
    path = bundle.path / "model.json"
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))
    return bundle.path


def with_numbers(bundle: Bundle, content: bytes) -> Path:
    """The bundle with another ``attributes.f16``, whose hash is right."""
    import hashlib

    (bundle.path / FILE).write_bytes(content)
    return changed(bundle, lambda values: values["files"].update({FILE: hashlib.sha256(content).hexdigest()}))


def test_the_table_comes_back_as_it_was_written(write: Write) -> None:
    bundle = Bundle.load(write().path)
    assert bundle.attributes == SPEC
    read, written = bundle.attribute_table(), made_table()
    assert read is not None
    assert read.spec == SPEC
    for name in ("frequencies", "weight", "constant"):
        np.testing.assert_array_equal(getattr(read, name), getattr(written, name))


def test_a_bundle_without_attributes_tells_none_and_keeps_its_id(write: Write) -> None:
    plain, told = write("plain", attributes=None), write("told")
    assert plain.attributes is None
    assert plain.attribute_table() is None
    assert not (plain.path / FILE).exists()
    assert "attributes" not in (plain.path / "model.json").read_text()
    assert plain.bundle_id != told.bundle_id
    assert plain.embedding_id == told.embedding_id


def test_a_stored_answer_depends_on_every_number_and_on_the_scaling(write: Write) -> None:
    table = made_table()
    other = AttributeTable(SPEC, table.frequencies, table.weight * 2, table.constant)
    scaled = replace(SPEC, scaling={**SPEC.scaling, "scene": Scaling(1.25, 0.5)})
    ids = {
        write(str(place), attributes=each).bundle_id for place, each in enumerate((table, other, made_table(scaled)))
    }
    assert len(ids) == 3


def test_a_model_without_an_embedding_tells_attributes_by_its_scenes(write: Write) -> None:
    spec = replace(SPEC, sources=("scene",) * 3, scaling={"scene": Scaling(1, 0)})
    bundle = write(embedding=None, attributes=made_table(spec, size=0))
    table = bundle.attribute_table()
    assert table is not None
    assert table.weight.shape == (3, 0)


def test_an_altered_or_missing_table_is_told_by_its_name(write: Write) -> None:
    altered, missing, unlisted = write("altered"), write("missing"), write("unlisted", attributes=None)
    content = bytearray((altered.path / FILE).read_bytes())
    content[0] ^= 1
    (altered.path / FILE).write_bytes(content)
    (missing.path / FILE).unlink()
    (unlisted.path / FILE).write_bytes(content)
    for bundle, word in ((altered, "altered"), (missing, "missing"), (unlisted, "not listed")):
        with pytest.raises(BundleCorrupt, match=rf"{FILE}.*{word}"):
            Bundle.load(bundle.path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda content: content[:-2], f"expected {2 * 3 * (CLASSES + SIZE + 1)}"),
        (lambda content: content + b"\0\0", "has 86 bytes"),
        (lambda content: np.float16(1.5).tobytes() + content[2:], "from 0 to 1"),
        (lambda content: np.float16(np.nan).tobytes() + content[2:], "for all attributes of a class"),
        (lambda content: content[:-2] + np.float16(np.inf).tobytes(), "finite"),
        (lambda content: content[:-2] + np.float16(np.nan).tobytes(), "finite"),
    ],
    ids=["cut", "longer", "no frequency", "half unknown", "infinite", "no number"],
)
def test_numbers_that_cannot_be_meant_are_refused(write: Write, change: Callable[[bytes], bytes], words: str) -> None:
    bundle = write()
    folder = with_numbers(bundle, change((bundle.path / FILE).read_bytes()))
    with pytest.raises(BundleCorrupt, match=words):
        Bundle.load(folder)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda spec: spec.pop("scaling"), "scaling"),
        (lambda spec: spec["scaling"].pop("photo"), "photo"),
        (lambda spec: spec["scaling"]["scene"].update(slope=-1), "slope"),
        (lambda spec: spec.update(photo_share=1.5), "photo_share"),
        (lambda spec: spec["labels"][0].update(source="guess"), "source"),
        (lambda spec: spec["labels"][1].update(id="trees"), "labels"),
        (lambda spec: spec.update(labels=[]), "labels"),
        (lambda spec: spec["labels"].pop(), "bytes"),
        (lambda spec: spec.update(shares=1), "shares"),
    ],
)
def test_a_description_that_does_not_fit_names_the_key(
    write: Write, change: Callable[[dict[str, Any]], object], words: str
) -> None:
    folder = changed(write(), lambda values: change(values["attributes"]))
    with pytest.raises(BundleCorrupt, match=words):
        Bundle.load(folder)


def test_attributes_need_their_file_a_scene_and_for_the_photos_say_an_embedding(write: Write) -> None:
    without_file = changed(write("file"), lambda values: values["files"].pop(FILE))
    (without_file / FILE).unlink()
    with pytest.raises(BundleCorrupt, match="there together"):
        Bundle.load(without_file)
    with pytest.raises(BundleCorrupt, match="single_label"):
        write("many", task="multi_label")
    with pytest.raises(BundleCorrupt, match="need an embedding"):
        write("blind", embedding=None, attributes=made_table(size=0))
    assert not (without_file.parent / "blind").exists()
