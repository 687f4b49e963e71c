from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from veduta.datasets.manifest import Entry, Manifest, read_data, read_manifest, write_manifest
from veduta.errors import OutputError, UsageError


def manifest_of(folder: Path, **counts: int) -> Manifest:
    return Manifest(
        "single_label",
        tuple(
            Entry(str(folder / name / f"{index}.jpg"), (name,))
            for name, most in counts.items()
            for index in range(most)
        ),
    )


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_what_was_written_is_read_again(tmp_path: Path, ending: str) -> None:
    if ending == ".parquet":
        pytest.importorskip("pyarrow", reason="the extra parquet is not installed")
    entries = (
        Entry(str(tmp_path / "sea" / "ä, b.jpg"), ("sea",), "train", "film 1", "", "blurred? sharpness 0.31"),
        Entry("/elsewhere/c.jpg", ("trees",), "test", "", "copy: of sea/a.jpg", ""),
    )
    write_manifest(tmp_path / f"set{ending}", Manifest("single_label", entries))
    assert read_manifest(tmp_path / f"set{ending}") == Manifest("single_label", entries)
    assert read_data(tmp_path / f"set{ending}").entries == entries


names = st.text(st.characters(exclude_characters="|", exclude_categories=("C", "Z")), min_size=1, max_size=5)


@given(st.lists(st.lists(names, max_size=3, unique=True), min_size=1, max_size=5))
def test_any_labels_come_back(tmp_path_factory: pytest.TempPathFactory, labels: list[list[str]]) -> None:
    file = tmp_path_factory.getbasetemp() / "many.csv"
    entries = tuple(Entry(str(file.parent / f"{place}.jpg"), tuple(each)) for place, each in enumerate(labels))
    write_manifest(file, Manifest("multi_label", entries))
    assert read_manifest(file) == Manifest("multi_label", entries)


def test_photos_below_the_manifest_move_with_it(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    write_manifest(tmp_path / "one" / "set.csv", manifest_of(tmp_path / "one", sea=1))
    assert "sea/0.jpg,sea" in (tmp_path / "one" / "set.csv").read_text()
    (tmp_path / "one").rename(tmp_path / "two")
    assert read_manifest(tmp_path / "two" / "set.csv").entries[0].path == str(tmp_path / "two" / "sea" / "0.jpg")


def test_class_folders_and_tables_of_0_and_1_are_read_as_manifests(tmp_path: Path) -> None:
    for name in ("sea/a.jpg", "trees/b.jpg", "trees/more/c.jpg", ".hidden/d.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    found = read_data(tmp_path)
    assert [entry.labels for entry in found.entries] == [("sea",), ("trees",), ("trees",)]
    (tmp_path / "table.csv").write_text("file,sea,trees\nsea/a.jpg,1,1\ntrees/b.jpg,0,0\n")
    table = read_data(tmp_path / "table.csv")
    assert table.task == "multi_label"
    assert [entry.labels for entry in table.entries] == [("sea", "trees"), ()]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no manifest"),
        ("path,label\n", "names no photo"),
        ("path,class\na.jpg,sea\n", "no manifest"),
        ("path,split\na.jpg,train\n", "needs a column path and a column label, or labels.*'path', 'split'"),
        ("label,split\nsea,train\n", "needs a column path"),
        ("path,label,labels\na.jpg,sea,sea\n", "no manifest"),
        ("path,label\na.jpg\n", "line 2"),
        ("path,label\n,sea\n", "line 2"),
        ("path,label\na.jpg,\n", "line 2.*empty label"),
        ("path,labels\na.jpg,sea|sea\n", "line 2.*twice"),
        ("path,label,colour\na.jpg,sea,red\n", "'colour'"),
        ("path,label,split,split\na.jpg,sea,train,test\n", "once each"),
    ],
)
def test_a_manifest_that_can_not_be_meant_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "set.csv").write_text(text)
    with pytest.raises(UsageError, match=said):
        read_manifest(tmp_path / "set.csv")


def test_a_table_without_a_column_of_labels_is_no_table_of_0_and_1_either(tmp_path: Path) -> None:
    (tmp_path / "set.csv").write_text("path,split,group\na.jpg,train,1\n")
    with pytest.raises(UsageError, match="needs a column path and a column label"):
        read_data(tmp_path / "set.csv")
    (tmp_path / "a.jpg").write_bytes(b"")
    (tmp_path / "set.csv").write_text("file,label\na.jpg,sea\n")
    with pytest.raises(UsageError, match=r"line 2 .* a 0 or 1 .*give a table with the columns path and label"):
        read_data(tmp_path / "set.csv")


def test_columns_come_in_any_order(tmp_path: Path) -> None:
    (tmp_path / "set.csv").write_text("split,label, path\ntrain,sea,a.jpg\n")
    assert read_data(tmp_path / "set.csv").entries == (Entry(str(tmp_path / "a.jpg"), ("sea",), "train"),)


def test_a_class_folder_without_photos_is_remembered(tmp_path: Path) -> None:
    for name in ("sea/a.jpg", "notes/a.txt"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(b"")
    found = read_data(tmp_path)
    assert found.empty == ("notes",)
    assert found.labels == ("notes", "sea")
    assert found.without_labels(["notes"]).labels == ("sea",)


def test_a_file_of_another_ending_and_a_label_with_the_separator_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"\.csv or a \.parquet"):
        write_manifest(tmp_path / "set.txt", manifest_of(tmp_path, sea=1))
    with pytest.raises(UsageError, match="parts labels"):
        write_manifest(tmp_path / "set.csv", Manifest("multi_label", (Entry("a.jpg", ("a|b",)),)))
    with pytest.raises(UsageError, match="is not there"):
        read_data(tmp_path / "gone")
    with pytest.raises(UsageError, match="no class folders"):
        read_data(tmp_path)


def test_a_damaged_parquet_file_is_one_sentence(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="the extra parquet is not installed")
    (tmp_path / "set.parquet").write_bytes(b"PAR1 but no more")
    with pytest.raises(UsageError, match="as Parquet"):
        read_manifest(tmp_path / "set.parquet")


def test_a_parquet_file_that_unpacks_to_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pyarrow", reason="the extra parquet is not installed")
    write_manifest(tmp_path / "set.parquet", manifest_of(tmp_path, sea=500))
    monkeypatch.setattr("veduta.datasets.manifest.MOST_BYTES", 100)
    with pytest.raises(UsageError, match="unpacks to more"):
        read_manifest(tmp_path / "set.parquet")


def test_a_parquet_file_that_tells_one_long_text_a_million_times_is_refused(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow", reason="the extra parquet is not installed")
    parquet = pytest.importorskip("pyarrow.parquet")
    count = 600_000
    columns = {"path": arrow.array(["a" * 1_000]).take(arrow.array([0] * count)), "label": ["sea"] * count}
    parquet.write_table(arrow.table(columns), tmp_path / "set.parquet")
    assert (tmp_path / "set.parquet").stat().st_size < 2**20
    with pytest.raises(UsageError, match="unpacks to more"):
        read_manifest(tmp_path / "set.parquet")


def test_lists_in_the_cells_of_a_parquet_file_are_refused(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow", reason="the extra parquet is not installed")
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(arrow.table({"path": ["a.jpg"], "labels": [["sea", "sky"]]}), tmp_path / "set.parquet")
    with pytest.raises(UsageError, match="lists or records in its cells"):
        read_manifest(tmp_path / "set.parquet")


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_path_that_is_not_unicode_is_one_sentence(tmp_path: Path, ending: str) -> None:
    pytest.importorskip("pyarrow", reason="the extra parquet is not installed")
    strange = Manifest("single_label", (Entry("caf\udce9.jpg", ("sea",)),))
    with pytest.raises(OutputError, match="not Unicode"):
        write_manifest(tmp_path / f"set.{ending}", strange)


def test_blank_lines_are_passed_over_and_names_that_are_too_long_are_not_there(tmp_path: Path) -> None:
    (tmp_path / "set.csv").write_text("path,label\na.jpg,sea\n\n")
    assert len(read_manifest(tmp_path / "set.csv")) == 1
    with pytest.raises(UsageError, match="is not there"):
        read_data(tmp_path / ("a" * 300))


def test_a_photo_that_was_dropped_keeps_its_first_reason(tmp_path: Path) -> None:
    found = manifest_of(tmp_path, sea=3).dropping({0: "black: 3"}).dropping({0: "copy: of 1", 1: "copy: of 2"})
    assert [entry.dropped for entry in found.entries] == ["black: 3", "copy: of 2", ""]
    assert found.counts() == {"sea": 1}


def test_a_generated_picture_is_marked_and_never_for_judging(tmp_path: Path) -> None:
    entries = (
        Entry(str(tmp_path / "sea" / "a.jpg"), ("sea",), "test"),
        Entry(str(tmp_path / "made" / "b.png"), ("sea",), "train", synthetic="9cf133f9"),
    )
    write_manifest(tmp_path / "set.csv", Manifest("single_label", entries))
    assert read_manifest(tmp_path / "set.csv").entries == entries
    assert (tmp_path / "set.csv").read_text().startswith("path,label,split,group,dropped,suspicion,synthetic\n")
    (tmp_path / "set.csv").write_text("path,label,split,synthetic\nb.png,sea,test,9cf1\n")
    with pytest.raises(UsageError, match=r"line 2 .* generated picture in the split 'test'.*train"):
        read_manifest(tmp_path / "set.csv")


def test_a_set_of_photos_alone_has_no_column_for_generated_ones(tmp_path: Path) -> None:
    write_manifest(tmp_path / "set.csv", manifest_of(tmp_path, sea=1))
    assert "synthetic" not in (tmp_path / "set.csv").read_text()
