from __future__ import annotations

from pathlib import Path

import pytest

from veduta.errors import UsageError
from veduta.evaluation.label_map import MEANINGS, WIDER, LabelMap, read_label_map, wider_classes
from veduta.recognition.scoring import CoarseSums
from veduta.records import Label

LABELS = tuple(Label(id, id.replace("_", " ")) for id in ("bar", "pub", "kitchen", "church/outdoor", "sea"))


def test_pairs_are_read_with_spaces_and_a_mark_of_a_spreadsheet(tmp_path: Path) -> None:
    file = tmp_path / "wider.csv"
    file.write_bytes('\ufeffclass, Wider Class\r\nbar,"room, inside"\r\n\r\n pub ,outside\r\n'.encode())
    found = read_label_map(file, WIDER)
    assert found.pairs == {"bar": "room, inside", "pub": "outside"}
    assert found.source == str(file)
    assert found
    assert not LabelMap()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "first line is folder,label"),
        ("bar,kitchen\npub,kitchen", "first line is folder,label"),
        ("class,wider class\nbar,room", "here it is 'class,wider class'"),
        ("folder,label\n", "no pairs"),
        ("folder,label\nbar\n", "line 2 of"),
        ("folder,label\nbar,room,x\n", "line 2 of"),
        ("folder,label\nbar,\n", "line 2 of"),
        ("folder,label\nbar,a\x07b\n", "line 2 of"),
        ("folder,label\nbar,a\nbar,b\n", "line 3 of .* again"),
        ('folder,label\n"bar,a\n', "can't be read as a CSV table"),
        (b"\xff\xfe\x00", "not UTF-8"),
    ],
)
def test_a_file_of_another_kind_is_refused_with_what_it_should_be(
    tmp_path: Path, content: str | bytes, told: str
) -> None:
    file = tmp_path / "labels.csv"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UsageError, match=told):
        read_label_map(file, MEANINGS)
    with pytest.raises(UsageError, match=r"labels\.csv"):
        read_label_map(file, MEANINGS)


def test_a_file_that_is_not_there_or_endless_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no file"):
        read_label_map(tmp_path / "none.csv", MEANINGS)
    with (tmp_path / "large.csv").open("wb") as file:
        file.truncate(2**30)
    with pytest.raises(UsageError, match="larger than"):
        read_label_map(tmp_path / "large.csv", MEANINGS)


def test_classes_lie_in_their_wider_ones_and_what_is_not_named_stays_itself() -> None:
    wide = wider_classes(LabelMap({"bar": "drinks", "pub": "drinks", "church-outdoor": "house"}), LABELS)
    labels = wide.apply(LABELS)
    assert [label.coarse for label in labels] == ["drinks", "drinks", "kitchen", "house", "sea"]
    assert [label.id for label in CoarseSums(labels).labels] == ["drinks", "house", "kitchen", "sea"]


def test_a_class_that_others_are_judged_as_is_one_with_them() -> None:
    wide = wider_classes(LabelMap({"pub": "bar"}), LABELS)
    assert [label.coarse for label in wide.apply(LABELS)] == ["bar", "bar", "kitchen", "church/outdoor", "sea"]


@pytest.mark.parametrize(
    ("pairs", "told"),
    [
        ({"kichen": "room"}, r"mine.csv: 'kichen' is no class of the model; did you mean 'kitchen'\?"),
        ({"church": "house"}, r"did you mean 'church/outdoor'\?"),
        ({"quay": "house"}, "veduta models info"),
        ({"church/outdoor": "a", "church-outdoor": "b"}, "twice"),
        ({label.id: "all" for label in LABELS}, "at least two"),
    ],
)
def test_a_map_that_can_not_be_meant_is_refused_with_the_nearest_names(pairs: dict[str, str], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        wider_classes(LabelMap(pairs, "mine.csv"), LABELS)
