from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from veduta.errors import UsageError
from veduta.evaluation.labelled_set import VALIDATION, read_labelled_set

Folders = Callable[[str, dict[str, list[str]]], Path]


@pytest.fixture
def manifest(colour_folders: Folders) -> Callable[[str], Path]:
    """A manifest beside four photos, made of its lines."""
    root = colour_folders("set", {"images": ["red", "green", "blue", "grey"]})

    def make(text: str) -> Path:
        (root / "set.csv").write_text(text)
        return root / "set.csv"

    return make


SPLITS = """path,label,split,dropped
images/0.png,bar,train,
images/1.png,sea,test,
images/2.png,bar,test,
images/3.png,sea,test,blurred: as fog
"""


def test_class_folders_are_judged_whole(colour_folders: Folders) -> None:
    found = read_labelled_set(colour_folders("photos", {"bar": ["red"], "sea/deep": ["blue", "blue"]}))
    assert (found.name, found.task, found.labels, len(found.entries)) == ("photos", "single_label", ("bar", "sea"), 3)


def test_of_a_manifest_the_kept_test_photos_are_judged_and_any_split_that_is_asked_for(
    manifest: Callable[[str], Path],
) -> None:
    file = manifest(SPLITS)
    found = read_labelled_set(file)
    assert [Path(path).name for path in found.paths] == ["1.png", "2.png"]
    assert found.name == "set, test"
    assert found.labels == ("bar", "sea")
    assert [Path(path).name for path in read_labelled_set(file, "train").paths] == ["0.png"]
    everything = read_labelled_set(file, "all")
    assert len(everything.entries) == 3
    assert everything.name == "set"


def test_a_manifest_without_splits_is_judged_whole_and_one_for_training_not_unasked(
    manifest: Callable[[str], Path],
) -> None:
    assert len(read_labelled_set(manifest("path,label,split\nimages/0.png,bar,\nimages/1.png,sea,\n")).entries) == 2
    trained = manifest("path,label,split\nimages/0.png,bar,train\nimages/1.png,sea,validation\n")
    with pytest.raises(UsageError, match="has photos for train and validation, and none for test: say which"):
        read_labelled_set(trained)
    assert len(read_labelled_set(trained, "validation").entries) == 1
    assert len(read_labelled_set(trained, "all").entries) == 2


def test_to_choose_by_the_validation_photos_are_taken_and_no_others_unasked(manifest: Callable[[str], Path]) -> None:
    split = "path,label,split\nimages/0.png,bar,validation\nimages/1.png,sea,test\nimages/2.png,sea,train\n"
    found = read_labelled_set(manifest(split), usual=VALIDATION)
    assert (found.name, [Path(path).name for path in found.paths]) == ("set, validation", ["0.png"])
    assert read_labelled_set(manifest(split), "all", VALIDATION).name == "set"
    assert len(read_labelled_set(manifest("path,label\nimages/0.png,bar\n"), usual=VALIDATION).entries) == 1
    for other in ("test", "train"):
        with pytest.raises(
            UsageError, match=f"has photos for {other}, and none for validation: say which to choose by"
        ):
            read_labelled_set(manifest(f"path,label,split\nimages/0.png,bar,{other}\n"), usual=VALIDATION)


def test_photos_of_many_labels_come_from_a_manifest_or_a_table(manifest: Callable[[str], Path]) -> None:
    found = read_labelled_set(manifest("path,labels\nimages/0.png,bar|sea\nimages/1.png,\n"))
    assert (found.task, found.labels) == ("multi_label", ("bar", "sea"))
    assert [entry.labels for entry in found.entries] == [("bar", "sea"), ()]
    table = read_labelled_set(manifest("file,bar,sea\n0.png,0,1\n"))
    assert (table.task, table.labels) == ("multi_label", ("sea",))


@pytest.mark.parametrize(
    ("text", "split", "told"),
    [
        (SPLITS, "validation", "no photo in the split 'validation'; there are test, train"),
        ("path,label\nimages/0.png,bar\n", "test", "its photos have no split"),
        ("path,split\nimages/0.png,test\n", None, "column label"),
        ("path,label,dropped\nimages/0.png,bar,small\n", None, "all are dropped"),
        ("path,label\nimages/0.png,bar\nimages/0.png,bar\n", None, "names .*0.png twice"),
        ("path,label\nimages/0.png,bar\n./images/0.png,sea\n", None, "one photo is in the classes 'bar' and 'sea'"),
        ("path,label\nimages/8.png,bar\nimages/9.png,sea\n", None, "none of its 2 photos is where it says"),
        ("path,label\n", None, "names no photo"),
    ],
)
def test_a_set_that_can_not_be_judged_is_refused_in_a_sentence(
    manifest: Callable[[str], Path], text: str, split: str | None, told: str
) -> None:
    with pytest.raises(UsageError, match=told):
        read_labelled_set(manifest(text), split)


def test_copies_of_a_photo_under_two_classes_are_refused_and_in_one_class_are_not(colour_folders: Folders) -> None:
    data = colour_folders("set", {"bar": ["red", "red"], "sea": ["blue"]})
    (data / "bar" / "copy.png").write_bytes((data / "bar" / "0.png").read_bytes())
    assert len(read_labelled_set(data).entries) == 4
    (data / "sea" / "copy.png").write_bytes((data / "bar" / "0.png").read_bytes())
    with pytest.raises(UsageError, match=r"one photo is in the classes 'bar' and 'sea', as .*0.png and .*copy.png"):
        read_labelled_set(data)


def test_a_folder_that_is_none_or_holds_no_photos_is_refused(tmp_path: Path, colour_folders: Folders) -> None:
    with pytest.raises(UsageError, match="is not there"):
        read_labelled_set(tmp_path / "none")
    (tmp_path / "empty" / "bar").mkdir(parents=True)
    with pytest.raises(UsageError, match="class folders"):
        read_labelled_set(tmp_path / "empty")
    with pytest.raises(UsageError, match="have no split"):
        read_labelled_set(colour_folders("photos", {"bar": ["red"]}), "test")


def test_generated_pictures_are_never_judged_on(manifest: Callable[[str], Path]) -> None:
    file = manifest("path,label,split,synthetic\nimages/0.png,bar,,\nimages/1.png,sea,train,9cf1\n")
    assert [Path(path).name for path in read_labelled_set(file).paths] == ["0.png"]
    assert len(read_labelled_set(file, "all").entries) == 1
    with pytest.raises(UsageError, match="or generated"):
        read_labelled_set(manifest("path,label,synthetic\nimages/1.png,sea,9cf1\n"))
