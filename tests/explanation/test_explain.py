from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from veduta.errors import CorruptPhoto, PhotoNotFound, UsageError
from veduta.explanation.explain import explain, find_label
from veduta.labels.categories import places365
from veduta.labels.taxonomy import Taxonomy
from veduta.models.bundle import Bundle
from veduta.models.session import Session
from veduta.recognition.tagger import Tagger


def tagger_of(bundle: Bundle) -> Tagger:
    return Tagger(bundle, Session(bundle.graph, threads=1), taxonomy=Taxonomy.load(None))


def red_corner() -> Image.Image:
    photo = Image.new("RGB", (300, 150), (90, 90, 90))
    photo.paste((255, 0, 0), (0, 0, 150, 75))
    return photo


def encoded(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def test_the_most_probable_label_is_explained_where_none_is_named(colour_bundle: Bundle) -> None:
    explanation = explain(tagger_of(colour_bundle), red_corner())
    assert explanation.label.label.id == "garden/red"
    assert 0.5 < explanation.label.probability <= 1.0
    assert explanation.method == "class maps"


def test_path_bytes_and_image_give_the_same_map_over_the_whole_photo(colour_bundle: Bundle, tmp_path: Path) -> None:
    tagger, image = tagger_of(colour_bundle), red_corner()
    (tmp_path / "photo.png").write_bytes(encoded(image))
    sources = [image, encoded(image), tmp_path / "photo.png", str(tmp_path / "photo.png")]
    found = [explain(tagger, source, "red garden") for source in sources]
    for explanation in found:
        assert explanation.photo.size == (300, 150)
        # The crop for tagging would have lost the left quarter, where the red is.
        assert explanation.values[0, 0] == pytest.approx(1.0)
        assert explanation.values[-1, -1] == 0.0
        assert np.allclose(explanation.values, found[0].values, atol=0.02)


def test_pictures_have_the_size_of_the_photo_and_the_mask_marks_the_region(colour_bundle: Bundle) -> None:
    explanation = explain(tagger_of(colour_bundle), red_corner())
    size = explanation.photo.size
    assert explanation.overlay().size == explanation.segmentation().size == explanation.mask().size == size
    assert explanation.side_by_side().width > 3 * size[0]
    mask = np.asarray(explanation.mask())
    assert mask[30, 60] == 255
    assert mask[130, 250] == 0
    assert 0.15 < (mask > 0).mean() < 0.4


def test_a_graph_without_class_maps_is_explained_by_occlusion(corner_bundle: Bundle) -> None:
    explanation = explain(tagger_of(corner_bundle), red_corner(), "garden/red")
    assert explanation.method == "occlusion"
    assert explanation.values[:3, :3].mean() > 0.6
    assert explanation.values[5:].max() == 0.0


def test_a_large_photo_is_shown_at_1280_pixels(colour_bundle: Bundle) -> None:
    tagger = tagger_of(colour_bundle)
    large = red_corner().resize((3000, 1500))
    assert explain(tagger, large).photo.size == (1280, 640)
    assert explain(tagger, encoded(large)).photo.size == (1280, 640)


def test_a_photo_on_its_side_is_explained_upright(colour_bundle: Bundle) -> None:
    lying = red_corner().transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    lying.save(buffer, "JPEG", exif=exif, quality=95)
    for source in (buffer.getvalue(), Image.open(io.BytesIO(buffer.getvalue()))):
        explanation = explain(tagger_of(colour_bundle), source)
        assert explanation.photo.size == (300, 150)
        assert explanation.values[0, 0] > 0.9


@pytest.mark.parametrize("wanted", ["church/outdoor", "church (exterior)", "Church_Outdoor", "Kirche (außen)"])
def test_a_label_is_found_by_its_id_and_by_its_names(wanted: str) -> None:
    labels = places365()
    assert labels[find_label(labels, wanted)].id == "church/outdoor"


@pytest.mark.parametrize(("wanted", "near"), [("kichen", "kitchen"), ("bambo", "bamboo_forest"), ("church", "church/")])
def test_an_unknown_label_is_refused_with_near_misses(wanted: str, near: str) -> None:
    with pytest.raises(UsageError, match=f"none of the model's 365 labels; did you mean .*{near}"):
        find_label(places365(), wanted)


def test_a_label_like_no_other_is_refused_too(colour_bundle: Bundle) -> None:
    with pytest.raises(UsageError, match="models info"):
        explain(tagger_of(colour_bundle), red_corner(), "qqqqqqq")


def test_a_photo_that_is_none_is_refused(colour_bundle: Bundle, tmp_path: Path) -> None:
    tagger = tagger_of(colour_bundle)
    with pytest.raises(PhotoNotFound):
        explain(tagger, tmp_path / "absent.jpg")
    with pytest.raises(CorruptPhoto):
        explain(tagger, b"\xff\xd8\xff\xe0 no photo")


def test_a_real_network_finds_the_tower_in_the_photo_of_paris(squeezenet: Bundle, shared_data: Path) -> None:
    explanation = explain(tagger_of(squeezenet), shared_data / "samples_cc0" / "paris.jpg", "tower")
    height, width = explanation.values.shape
    row, column = np.unravel_index(explanation.values.argmax(), explanation.values.shape)
    assert explanation.method == "class maps"
    assert 0.35 * width < column < 0.65 * width
    assert row < 0.85 * height
