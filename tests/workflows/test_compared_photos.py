from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from veduta.datasets.manifest import Entry, Manifest, read_manifest, write_manifest
from veduta.errors import UsageError
from veduta.workflows.compared_photos import digest_of, divide, read_compared, write_divided


def test_a_set_without_splits_gets_a_test_part_of_each_class_by_the_seed(photos: Path, tmp_path: Path) -> None:
    found = write_divided(divide(photos, share=0.2, seed=0), tmp_path / "set.csv", "photos")
    assert found.test.labels == ("blue", "green", "red")
    assert sorted(found.test.targets.tolist()) == [0, 0, 1, 1, 2, 2]
    again = write_divided(divide(photos, share=0.2, seed=0), tmp_path / "set.csv", "photos")
    assert again.digest == found.digest
    other = write_divided(divide(photos, share=0.2, seed=1), tmp_path / "set.csv", "photos")
    assert other.digest != found.digest
    kept = read_manifest(tmp_path / "set.csv").kept
    assert sum(entry.split == "train" for entry in kept) == 24


def test_splits_that_are_there_stay_and_dropped_photos_are_left_out(photos: Path, tmp_path: Path) -> None:
    entries = [
        Entry(
            str(file), (file.parent.name,), "test" if file.stem in "89" else "train", dropped="x" * (file.stem == "0")
        )
        for file in sorted(photos.rglob("*.png"))
    ]
    write_manifest(tmp_path / "mine.csv", Manifest("single_label", tuple(entries)))
    found = write_divided(divide(tmp_path / "mine.csv", share=0.5, seed=0), tmp_path / "set.csv", "mine")
    assert {Path(sample.path).stem for sample in found.test.samples} == {"8", "9"}
    assert len(read_manifest(tmp_path / "set.csv")) == 27


def test_splits_without_a_test_part_are_refused(photos: Path, tmp_path: Path) -> None:
    entries = [Entry(str(file), (file.parent.name,), "train") for file in sorted(photos.rglob("*.png"))]
    write_manifest(tmp_path / "mine.csv", Manifest("single_label", tuple(entries)))
    with pytest.raises(UsageError, match=r"mine\.csv has no photo for testing; split it: veduta dataset split"):
        divide(tmp_path / "mine.csv", share=0.2, seed=0)


@pytest.mark.parametrize(
    ("left", "said"), [((), "photos of red for testing and none to train on"), (("0",), "class 'red' has 1 photo that")]
)
def test_a_class_that_training_would_hardly_see_is_refused(
    photos: Path, tmp_path: Path, left: tuple[str, ...], said: str
) -> None:
    entries = [
        Entry(
            str(file), (file.parent.name,), "test" if file.parent.name == "red" and file.stem not in left else "train"
        )
        for file in sorted(photos.rglob("*.png"))
    ]
    write_manifest(tmp_path / "mine.csv", Manifest("single_label", tuple(entries)))
    with pytest.raises(UsageError, match=said):
        divide(tmp_path / "mine.csv", share=0.2, seed=0)


def test_a_class_too_small_to_be_divided_is_refused(photos: Path) -> None:
    for number in range(2, 10):
        (photos / "red" / f"{number}.png").unlink()
    with pytest.raises(UsageError, match="class 'red' has 1 photo that is not for testing, of 2"):
        divide(photos, share=0.2, seed=0)


def test_another_set_to_test_on_counts_as_far_as_its_classes_are_known(photos: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    for name in ("red", "blue", "teal"):
        (other / name).mkdir(parents=True)
        (other / name / "a.png").write_bytes(name.encode())
    divided = divide(photos, share=0.2, seed=0, test=other)
    found = write_divided(divided, tmp_path / "set.csv", "other").test
    assert [Path(sample.path).parts[-2:] for sample in found.samples] == [("blue", "a.png"), ("red", "a.png")]
    assert {entry.split for entry in divided.entries[:30]} == {"train"}
    shutil.rmtree(other / "red")
    shutil.rmtree(other / "blue")
    with pytest.raises(UsageError, match="'teal' are none of the classes of"):
        divide(photos, share=0.2, seed=0, test=other)
    with pytest.raises(UsageError, match="no photo can be for both"):
        divide(photos, share=0.2, seed=0, test=photos)
    shutil.copytree(photos, tmp_path / "copies")
    with pytest.raises(UsageError, match=r"photos/blue/0\.png of .* and .*copies/blue/0\.png of .* are one photo"):
        divide(photos, share=0.2, seed=0, test=tmp_path / "copies")
    (tmp_path / "val.csv").write_text(f"path,label,split\n{photos}/red/0.png,red,validation\n")
    with pytest.raises(UsageError, match="has splits, and no photo for test among them"):
        divide(photos, share=0.2, seed=0, test=tmp_path / "val.csv")
    (tmp_path / "tags.csv").write_text("file,red\nphotos/red/0.png,1\n")
    with pytest.raises(UsageError, match=r"has one label for each photo, and .* any number of labels"):
        divide(photos, share=0.2, seed=0, test=tmp_path / "tags.csv")


def test_data_with_a_test_part_of_their_own_take_no_other(photos: Path, tmp_path: Path) -> None:
    write_divided(divide(photos, share=0.2, seed=0), tmp_path / "mine.csv", "mine")
    with pytest.raises(UsageError, match="says itself which photos are for testing"):
        divide(tmp_path / "mine.csv", share=0.2, seed=0, test=photos)


def test_an_empty_class_is_refused(photos: Path) -> None:
    (photos / "teal").mkdir()
    with pytest.raises(UsageError, match="class 'teal' has no photo"):
        divide(photos, share=0.2, seed=0)


def test_a_table_of_many_labels_says_which_are_present(photos: Path, tmp_path: Path) -> None:
    rows = ["file,warm,any", "photos/red/0.png,1,1", "photos/blue/0.png,0,1", "photos/green/0.png,0,0"]
    (tmp_path / "tags.csv").write_text("\n".join(rows))
    found = read_compared(tmp_path / "tags.csv")
    assert (found.name, found.task, found.labels) == ("tags", "multi_label", ("any", "warm"))
    assert found.present is not None
    assert found.present.tolist() == [[True, True], [True, False], [False, False]]


def test_a_photo_that_is_listed_twice_is_refused(photos: Path, tmp_path: Path) -> None:
    file = photos / "red" / "0.png"
    (tmp_path / "mine.csv").write_text(f"path,label\n{file},red\n{file},blue\n")
    with pytest.raises(UsageError, match="twice for testing"):
        read_compared(tmp_path / "mine.csv")


def test_photos_are_told_apart_by_path_size_label_split_and_group(photos: Path) -> None:
    file = photos / "red" / "0.png"
    entries = [Entry(str(file), ("red",), "test"), Entry(str(photos / "red" / "1.png"), ("red",), "test")]
    before = digest_of(entries)
    assert digest_of([Entry(each.path, each.labels, "train") for each in entries]) != before
    assert digest_of([Entry(each.path, ("blue",), "test") for each in entries]) != before
    assert digest_of([Entry(each.path, ("red",), "test", "film") for each in entries]) != before
    moved = photos.rename(photos.with_name("moved"))
    assert digest_of([Entry(str(moved / "red" / Path(each.path).name), ("red",), "test") for each in entries]) == before
    (moved / "red" / "0.png").write_bytes(b"shorter")
    assert digest_of([Entry(str(moved / "red" / Path(each.path).name), ("red",), "test") for each in entries]) != before
