"""Trees as the archives of the published sets unpack to them."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest

from veduta.datasets.manifest import Manifest, read_manifest, write_manifest
from veduta.datasets.published import (
    find_layout,
    read_indoor67,
    read_places365,
    read_published,
    read_sun397,
    read_sun_attributes,
)
from veduta.errors import UsageError


def photos(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")


def told(manifest: Manifest, root: Path) -> list[tuple[str, str, str, str]]:
    """Path below the root, labels, split and the word that says why it was dropped."""
    return [
        (Path(each.path).relative_to(root).as_posix(), "|".join(each.labels), each.split, each.dropped.split(":")[0])
        for each in manifest.entries
    ]


ATTRIBUTES = ["sailing/ boating", "trees", "natural light"]
SUN_PHOTOS = ["a/abbey/sun_aa.jpg", "a/airport/airport/sun_ab.jpg", "z/zoo/sun_ac.jpg"]
VOTES = np.array([[0, 1, 2], [3, 0, 1], [0, 0, 1]]) / 3


def sun_attributes(
    root: Path, paths: list[str] = SUN_PHOTOS, names: list[str] = ATTRIBUTES, votes: np.ndarray = VOTES
) -> None:
    matlab = pytest.importorskip("scipy.io", reason="the extra dataset is not installed")
    root.mkdir(exist_ok=True)
    for file, name, texts in (("images", "images", paths), ("attributes", "attributes", names)):
        cells = np.empty((len(texts), 1), object)
        cells[:, 0] = texts
        matlab.savemat(root / f"{file}.mat", {name: cells}, do_compression=True)
    matlab.savemat(root / "attributeLabels_continuous.mat", {"labels_cv": votes}, do_compression=True)


def test_an_attribute_is_present_where_more_than_one_of_three_workers_said_so(tmp_path: Path) -> None:
    sun_attributes(tmp_path)
    photos(tmp_path / "images", *SUN_PHOTOS)
    found = read_sun_attributes(tmp_path)
    assert found.task == "multi_label"
    assert told(found, tmp_path / "images") == [
        ("a/abbey/sun_aa.jpg", "natural light", "", ""),
        ("a/airport/airport/sun_ab.jpg", "sailing/ boating", "", ""),
        ("z/zoo/sun_ac.jpg", "", "", ""),
    ]


def test_photos_of_the_attribute_database_may_lie_elsewhere_and_some_may_be_missing(tmp_path: Path) -> None:
    sun_attributes(tmp_path / "SUNAttributeDB")
    photos(tmp_path / "SUN397", *SUN_PHOTOS[:2])
    found = read_sun_attributes(tmp_path, tmp_path / "SUN397")
    assert [each.dropped for each in found.entries] == ["", "", f"missing: not in {tmp_path / 'SUN397'}"]
    assert Path(found.entries[0].path) == tmp_path / "SUN397" / SUN_PHOTOS[0]
    with pytest.raises(UsageError, match=r"none of the 3 photos.*such as .*a/abbey/sun_aa\.jpg.*--photos"):
        read_sun_attributes(tmp_path)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"paths": SUN_PHOTOS[:2]}, r"votes for 3 photos and 3 attributes, but images\.mat names 2"),
        ({"names": ["trees", "boating", "trees "]}, "an attribute twice"),
        ({"names": ["trees", "a\nb", "\x1b[31m"]}, "one that is no name"),
        ({"votes": VOTES * 3}, "votes outside 0 to 1"),
        ({"votes": VOTES * np.nan}, "votes outside 0 to 1"),
        ({"paths": ["../../etc/passwd", *SUN_PHOTOS[1:]]}, r"line 1 of .*images\.mat is '\.\./\.\./etc/passwd'"),
        ({"paths": [], "names": [], "votes": np.zeros((0, 0))}, "names no photo"),
    ],
    ids=["paths", "twice", "names", "above", "nan", "outside", "empty"],
)
def test_an_attribute_database_that_contradicts_itself_is_refused(
    tmp_path: Path, wrong: dict[str, object], said: str
) -> None:
    sun_attributes(tmp_path, **wrong)  # type: ignore[arg-type]
    photos(tmp_path / "images", *SUN_PHOTOS)
    with pytest.raises(UsageError, match=said):
        read_sun_attributes(tmp_path)


def test_a_missing_file_of_the_attribute_database_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"holds no images\.mat"):
        read_sun_attributes(tmp_path)
    with pytest.raises(UsageError, match="can't be listed"):
        read_sun_attributes(tmp_path / "gone")


def test_the_real_annotations_come_through_the_layout_of_the_database(tmp_path: Path, shared_data: Path) -> None:
    source = shared_data / "sun_attributes"
    with (source / "photos.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    names = (shared_data / "labels" / "sun_attributes.txt").read_text().split("\n")[:102]
    present = np.zeros((len(rows), 102))
    for place, row in enumerate(rows):
        (tmp_path / "images" / row["sun_path"]).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "images" / row["sun_path"]).symlink_to((source / row["file"]).resolve())
        present[place, [int(each) for each in row["attribute_indices"].split()]] = 1
    # One vote more for every attribute is still not more than one of three.
    sun_attributes(tmp_path, [row["sun_path"] for row in rows], names, np.maximum(present * 2, 1) / 3)
    found = read_sun_attributes(tmp_path)
    assert len(found.kept) == 420
    write_manifest(tmp_path / "set.csv", found)
    for row, entry in zip(rows, read_manifest(tmp_path / "set.csv").entries, strict=True):
        assert entry.labels == tuple(names[int(each)] for each in sorted(map(int, row["attribute_indices"].split())))


def text(file: Path, *lines: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(f"{line}\n" for line in lines))


CATEGORIES = ["/a/airfield 0", "/a/arena/hockey 15"]


def places365(root: Path, *, train: str = "data_256", held: str = "val_256") -> None:
    text(root / "categories_places365.txt", *CATEGORIES)
    lines = ["/a/airfield/00000001.jpg 0", "/a/airfield/00000002.jpg 0", "/a/arena/hockey/00000001.jpg 15"]
    text(root / "places365_train_standard.txt", *lines)
    text(root / "places365_val.txt", "Places365_val_00000001.jpg 15")
    photos(root / train, *(line.split()[0][1:] for line in lines))
    photos(root / held, "Places365_val_00000001.jpg")


@pytest.mark.parametrize(("train", "held"), [("data_256", "val_256"), ("data_large_standard", "val_large")])
def test_places365_is_read_by_its_lists_small_or_large(tmp_path: Path, train: str, held: str) -> None:
    places365(tmp_path, train=train, held=held)
    assert find_layout(tmp_path) == "places365"
    assert told(read_published(tmp_path, "places365"), tmp_path) == [
        (f"{train}/a/airfield/00000001.jpg", "airfield", "train", ""),
        (f"{train}/a/airfield/00000002.jpg", "airfield", "train", ""),
        (f"{train}/a/arena/hockey/00000001.jpg", "arena/hockey", "train", ""),
        (f"{held}/Places365_val_00000001.jpg", "arena/hockey", "validation", ""),
    ]


def test_of_places365_the_lists_may_lie_in_a_folder_and_the_photos_elsewhere_and_some_be_missing(
    tmp_path: Path,
) -> None:
    places365(tmp_path / "sets" / "filelist")
    (tmp_path / "sets" / "filelist" / "data_256").rename(tmp_path / "data_256")
    (tmp_path / "data_256" / "a" / "airfield" / "00000002.jpg").unlink()
    found = told(read_places365(tmp_path / "sets", tmp_path), tmp_path)
    assert [each[3] for each in found] == ["", "missing", "", "missing"]
    shutil.rmtree(tmp_path / "data_256")
    with pytest.raises(UsageError, match=r"none of the 4 photos.*--photos"):
        read_places365(tmp_path / "sets", tmp_path)


def test_the_challenge_set_and_the_validation_list_alone_are_read(tmp_path: Path) -> None:
    places365(tmp_path, train="data_256_challenge")
    (tmp_path / "places365_train_standard.txt").rename(tmp_path / "places365_train_challenge.txt")
    assert len(read_places365(tmp_path).kept) == 4
    (tmp_path / "places365_train_challenge.txt").unlink()
    assert [each.split for each in read_places365(tmp_path).entries] == ["validation"]
    (tmp_path / "places365_val.txt").unlink()
    with pytest.raises(UsageError, match="neither places365_train_standard"):
        read_places365(tmp_path)


def test_the_easy_format_of_places365_is_a_tree_of_folders(tmp_path: Path) -> None:
    root = tmp_path / "places365_standard"
    photos(root, "train/airfield/1.jpg", "train/arena-hockey/1.jpg", "val/arena-hockey/2.jpg", "train/notes.txt")
    assert find_layout(root) == find_layout(tmp_path) == "places365"
    assert read_places365(tmp_path) == read_places365(root)
    assert told(read_places365(root), root) == [
        ("train/airfield/1.jpg", "airfield", "train", ""),
        ("train/arena-hockey/1.jpg", "arena/hockey", "train", ""),
        ("val/arena-hockey/2.jpg", "arena/hockey", "validation", ""),
    ]


@pytest.mark.parametrize(
    ("file", "lines", "said"),
    [
        ("places365_val.txt", ["Places365_val_00000001.jpg"], "line 1 of .*places365_val.txt must have a path"),
        ("places365_val.txt", ["Places365_val_00000001.jpg 7"], "the category 7, which .* does not have"),
        ("places365_val.txt", ["../../secret.jpg 0"], "line 1 .* expected a path below"),
        ("places365_val.txt", ["/.. 0"], "expected a path below"),
        ("places365_val.txt", ["", "a.jpg 0", "b.jpg -1"], "line 3 .*must have a path"),
        (
            "places365_train_standard.txt",
            ["/a/airfield/00000001.jpg 15"],
            "the category 15, which .* calls arena/hockey",
        ),
        ("categories_places365.txt", ["/a/airfield 0", "/b/airfield 1"], "line 2 .* a second time"),
        ("categories_places365.txt", ["airfield 0"], "line 1 .* or none"),
    ],
    ids=str,
)
def test_a_list_of_places365_that_can_not_be_meant_is_named_with_its_line(
    tmp_path: Path, file: str, lines: list[str], said: str
) -> None:
    places365(tmp_path)
    text(tmp_path / file, *lines)
    with pytest.raises(UsageError, match=said):
        read_places365(tmp_path)
    (tmp_path / file).write_bytes(b"\xff\xfe\0")
    with pytest.raises(UsageError, match="UTF-8"):
        read_places365(tmp_path)


def sun397(root: Path) -> list[str]:
    names = [f"a/{folder}/sun_a{index}.jpg" for folder in ("abbey", "apse/indoor") for index in "abc"]
    photos(root, *names)
    text(root / "ClassName.txt", "/a/abbey", "/a/apse/indoor")
    for number, shift in ((1, 0), (2, 1)):
        text(root / f"Training_{number:02}.txt", *(f"/{name}" for name in names[shift::3]))
        text(root / f"Testing_{number:02}.txt", *(f"/{name}" for name in names[shift + 1 :: 3]))
    return names


def test_sun397_is_read_with_its_partitions(tmp_path: Path) -> None:
    names = sun397(tmp_path)
    assert find_layout(tmp_path) == "sun397"
    found = told(read_published(tmp_path, "sun397"), tmp_path)
    assert [each[0] for each in found] == names
    assert [each[1:] for each in found[:3]] == [
        ("abbey", "train", ""),
        ("abbey", "test", ""),
        ("abbey", "", "split"),
    ]
    assert {each[1] for each in found[3:]} == {"apse/indoor"}
    second = told(read_published(tmp_path, "sun397", partition=2), tmp_path)
    assert [each[2] for each in second[:3]] == ["", "train", "test"]


def test_without_partitions_all_of_sun397_is_taken_and_nothing_is_split(tmp_path: Path) -> None:
    names = sun397(tmp_path / "SUN397")
    for list_ in (tmp_path / "SUN397").glob("*ing_0*.txt"):
        list_.unlink()
    found = told(read_sun397(tmp_path), tmp_path / "SUN397")
    assert [(each[0], *each[2:]) for each in found] == [(name, "", "") for name in names]
    with pytest.raises(UsageError, match=r"has no Training_03\.txt"):
        read_sun397(tmp_path, partition=3)
    with pytest.raises(UsageError, match="has no partition 11"):
        read_sun397(tmp_path, partition=11)


def test_partitions_of_sun397_may_lie_beside_the_photos(tmp_path: Path) -> None:
    names = sun397(tmp_path / "SUN397")
    (tmp_path / "Partitions").mkdir()
    for list_ in (tmp_path / "SUN397").glob("*.txt"):
        list_.rename(tmp_path / "Partitions" / list_.name)
    (tmp_path / "SUN397" / names[0]).unlink()
    found = told(read_sun397(tmp_path), tmp_path / "SUN397")
    assert [each[0] for each in found] == names
    assert found[0][2:] == ("train", "missing")


def test_a_photo_in_both_lists_is_refused(tmp_path: Path) -> None:
    names = sun397(tmp_path)
    text(tmp_path / "Testing_01.txt", f"/{names[0]}")
    with pytest.raises(UsageError, match=r"line 1 of .*Testing_01\.txt names a/abbey/sun_aa\.jpg, which the other"):
        read_sun397(tmp_path)


def test_indoor67_is_read_with_its_two_lists(tmp_path: Path) -> None:
    names = ["bar/bar_0001.jpg", "bar/bar_0002.gif", "bar/bar_0003.jpg", "gym inside/1 (2).jpg"]
    photos(tmp_path / "Images", *names)
    text(tmp_path / "TrainImages.txt", names[0], names[3])
    text(tmp_path / "TestImages.txt", names[1], "gym inside/gone.jpg\r")
    assert find_layout(tmp_path) == "indoor67"
    assert told(read_published(tmp_path, "indoor67"), tmp_path / "Images") == [
        (names[0], "bar", "train", ""),
        (names[1], "bar", "test", ""),
        (names[2], "bar", "", "split"),
        (names[3], "gym inside", "train", ""),
        ("gym inside/gone.jpg", "gym inside", "test", "missing"),
    ]
    assert told(read_indoor67(tmp_path, tmp_path / "Images"), tmp_path / "Images")[0] == (names[0], "bar", "train", "")
    text(tmp_path / "TrainImages.txt", "bar.jpg")
    with pytest.raises(UsageError, match="expected a folder and a photo in it"):
        read_indoor67(tmp_path)


def test_a_folder_of_no_known_layout_or_of_two_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no published set that is known: places365 by its categories_places365\.txt"):
        find_layout(tmp_path)
    sun397(tmp_path / "one")
    sun_attributes(tmp_path / "two")
    with pytest.raises(UsageError, match="has the files of sun397 and sun_attributes; say with --layout"):
        find_layout(tmp_path)
    with pytest.raises(UsageError, match="indoor67 has no partitions"):
        read_published(tmp_path, "indoor67", partition=1)


def test_lists_of_ten_thousands_of_photos_are_read_in_order(tmp_path: Path) -> None:
    text(tmp_path / "categories_places365.txt", *CATEGORIES)
    names = [f"{index:08}.jpg" for index in range(20_000)]
    text(tmp_path / "places365_train_standard.txt", *(f"/a/airfield/{name} 0" for name in reversed(names)))
    photos(tmp_path / "data_large" / "a" / "airfield", *names[:50])
    found = read_places365(tmp_path)
    assert [Path(each.path).name for each in found.entries] == names[::-1]
    assert len(found.kept) == 50
