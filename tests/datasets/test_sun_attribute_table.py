"""The SUN Attribute database as tables: every photo once, its attributes by name, and what is not here dropped."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from veduta.datasets.manifest import Manifest, read_manifest, write_manifest
from veduta.datasets.published import find_layout, read_published
from veduta.datasets.sun_attribute_table import annotated_entries, read_annotations
from veduta.errors import UsageError

ROWS = (
    "a/abbey/sun_a.jpg,train,41 74",
    "c/church/outdoor/sun_b.jpg,test,88",
    "f/field/wild/sun_c.jpg,train,",
)


def written(
    folder: Path, *rows: str, photos: tuple[str, ...] = ("images/abbey/one.jpg,a/abbey/sun_a.jpg,41 74",)
) -> Path:
    (folder / "images" / "abbey").mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(folder / "images" / "abbey" / "one.jpg")
    (folder / "annotations.csv").write_text("\n".join(("sun_path,split,attribute_indices", *rows)) + "\n")
    (folder / "photos.csv").write_text("\n".join(("file,sun_path,attribute_indices", *photos)) + "\n")
    return folder


def test_each_photo_has_its_attributes_its_category_and_its_split(tmp_path: Path) -> None:
    found = read_annotations(written(tmp_path, *ROWS))
    assert found.categories == ("abbey", "church/outdoor", "field/wild")
    assert found.splits == ("train", "test", "train")
    assert [np.flatnonzero(row).tolist() for row in found.present] == [[41, 74], [88], []]
    assert found.files == {0: tmp_path / "images" / "abbey" / "one.jpg"}


def test_photos_are_found_by_the_second_table_or_by_their_paths_in_sun(tmp_path: Path) -> None:
    root, sun = written(tmp_path / "tables", *ROWS), tmp_path / "sun"
    (sun / "c" / "church" / "outdoor").mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(sun / "c" / "church" / "outdoor" / "sun_b.jpg")
    here, with_sun = annotated_entries(root), annotated_entries(root, sun)
    assert [bool(entry.dropped) for entry in here] == [False, True, True]
    assert [bool(entry.dropped) for entry in with_sun] == [False, False, True]
    assert with_sun[0].labels == ("grass", "natural light")
    assert with_sun[1].path.endswith("sun/c/church/outdoor/sun_b.jpg")
    assert with_sun[2].labels == ()


def test_it_becomes_a_manifest_as_the_database_itself_does(tmp_path: Path) -> None:
    root = written(tmp_path / "tables", *ROWS)
    assert find_layout(root) == "sun_attributes"
    manifest = read_published(root, "sun_attributes")
    assert manifest == Manifest("multi_label", tuple(annotated_entries(root)))
    write_manifest(tmp_path / "sun.csv", manifest)
    again = read_manifest(tmp_path / "sun.csv")
    assert [entry.labels for entry in again.kept] == [("grass", "natural light")]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (("a/abbey/sun_a.jpg,train,102",), "line 2 .*from 0 to 101"),
        (("a/abbey/sun_a.jpg,train,one",), "line 2 .*has one"),
        (("a/abbey/sun_a.jpg,train,-1",), "line 2 .*from 0 to 101"),
        (("a/abbey/sun_a.jpg,train,5", "a/abbey/sun_a.jpg,test,6"), "line 3 .*once"),
        (("abbey.jpg,train,5",), "line 2 .*a/abbey"),
        (("../../etc/passwd/x.jpg,train,5",), "line 2"),
        (("a/abbey/sun_a.jpg,5",), "line 2 .*2 cells"),
        ((), "a row for each photo"),
    ],
)
def test_a_line_that_cannot_be_meant_is_named(tmp_path: Path, rows: tuple[str, ...], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        read_annotations(written(tmp_path, *rows))


def test_tables_that_do_not_belong_together_are_told(tmp_path: Path) -> None:
    strange = ("images/abbey/one.jpg,b/bar/sun_z.jpg,1",)
    with pytest.raises(UsageError, match=r"line 2 of .*photos\.csv is not in annotations\.csv"):
        read_annotations(written(tmp_path / "a", *ROWS, photos=strange))
    (tmp_path / "a" / "annotations.csv").write_text("path,labels\nx,y\n")
    with pytest.raises(UsageError, match="must have the columns sun_path, split, attribute_indices"):
        read_annotations(tmp_path / "a")


def test_the_real_tables_agree_with_each_other(shared_data: Path) -> None:
    found = read_annotations(shared_data / "sun_attributes")
    assert found.present.shape == (14_317, 102)
    assert len(found.files) == 420
    assert len(set(found.categories)) == 717
    entries = annotated_entries(shared_data / "sun_attributes")
    assert sum(not entry.dropped for entry in entries) == 420
