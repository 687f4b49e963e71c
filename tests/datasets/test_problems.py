from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from veduta.datasets.identical import join_groups, look_at_files
from veduta.datasets.manifest import Entry, Manifest, read_data
from veduta.datasets.problems import check_trainable, part_problems, problems
from veduta.datasets.select import select
from veduta.errors import UsageError


def photos(root: Path, **counts: int) -> Path:
    """Class folders with files that differ, and begin as photos do."""
    for name, count in counts.items():
        (root / name).mkdir(parents=True, exist_ok=True)
        for index in range(count):
            (root / name / f"{index}.jpg").write_text(f"GIF89a, {name} {index}")
    return root


def told(manifest: Manifest, *, fatal: bool) -> list[str]:
    return [problem.words for problem in problems(manifest) if problem.fatal == fatal]


def test_nothing_is_wrong_with_a_good_set(tmp_path: Path) -> None:
    manifest = read_data(photos(tmp_path, sea=12, trees=10))
    assert problems(manifest) == []
    check_trainable(manifest, tmp_path)


def test_an_empty_class_and_one_of_one_photo_are_fatal_and_few_photos_are_told(tmp_path: Path) -> None:
    manifest = read_data(photos(tmp_path, desert=0, rare=1, sea=12, trees=9))
    assert manifest.counts() == {"desert": 0, "rare": 1, "sea": 12, "trees": 9}
    empty, one = told(manifest, fatal=True)
    assert "'desert' has no photo in its folder" in empty
    assert "'rare' has 1 photo, and needs one to learn from and one to be judged on" in one
    assert told(manifest, fatal=False) == [
        "the class 'trees' has 9 photos; add some, or drop it with --min-per-class 10."
    ]
    assert told(select(manifest, min_per_class=2), fatal=True) == []


def test_one_photo_that_is_not_for_testing_is_as_fatal(tmp_path: Path) -> None:
    manifest = read_data(photos(tmp_path, sea=12, trees=12))
    entries = [replace(each, split="test" if each.labels == ("sea",) else "") for each in manifest.entries]
    entries[0] = replace(entries[0], split="")
    (words,) = told(Manifest("single_label", tuple(entries)), fatal=True)
    assert "'sea' has 1 photo that is not for testing, of 12" in words


@pytest.mark.parametrize(
    ("names", "fatal"),
    [
        (("sea", "Sea"), True),
        (("new york", "New  York"), True),
        (("newyork", "new york"), True),
        (("new york", "new_york"), False),
        (("sea", "sea "), True),
        (("Straße", "STRASSE"), True),
    ],
    ids=str,
)
def test_names_that_differ_by_case_or_space_are_fatal_and_by_marks_are_told(
    tmp_path: Path, names: tuple[str, str], fatal: bool
) -> None:
    manifest = read_data(photos(tmp_path, **dict.fromkeys(names, 10)))
    (words,) = told(manifest, fatal=fatal)
    assert " and ".join(map(repr, sorted(names))) in words
    assert ("by case or space alone" if fatal else "by marks alone") in words
    assert told(manifest, fatal=not fatal) == []


def test_a_name_that_was_dropped_is_no_longer_in_the_way(tmp_path: Path) -> None:
    manifest = read_data(photos(tmp_path, sea=12, Sea=12, trees=12))
    assert told(select(manifest, drop=["Sea"]), fatal=True) == []


def test_a_photo_in_two_classes_is_fatal_whether_it_is_listed_twice_or_copied(tmp_path: Path) -> None:
    photos(tmp_path, sea=12, trees=12)
    (tmp_path / "trees" / "copy.jpg").write_bytes((tmp_path / "sea" / "3.jpg").read_bytes())
    (tmp_path / "trees" / "link.jpg").symlink_to(tmp_path / "sea" / "4.jpg")
    manifest = read_data(tmp_path)
    copied, linked = told(manifest, fatal=True)
    assert f"{tmp_path}/sea/3.jpg and {tmp_path}/trees/copy.jpg are one photo, under 'sea' and 'trees'" in copied
    assert "link.jpg are one photo" in linked
    with pytest.raises(UsageError, match=r"one photo, under 'sea' and 'trees'.*first of 2: veduta dataset inspect"):
        check_trainable(manifest, tmp_path)
    twice = Entry(manifest.entries[0].path, ("trees",))
    (words, *_) = told(replace(manifest, entries=(*manifest.entries[:22], twice)), fatal=True)
    assert "0.jpg is listed 2 times, under 'sea' and 'trees'" in words


def test_of_many_labels_only_a_photo_that_is_listed_twice_contradicts_itself(tmp_path: Path) -> None:
    photos(tmp_path, a=12)
    (tmp_path / "a" / "copy.jpg").write_bytes((tmp_path / "a" / "3.jpg").read_bytes())
    entries = [Entry(str(path), ("sea",)) for path in sorted((tmp_path / "a").iterdir())]
    entries[3] = replace(entries[3], labels=("sea", "trees"))
    entries[4] = replace(entries[4], labels=("trees",))
    copied = Manifest("multi_label", tuple(entries))
    assert told(copied, fatal=True) == []
    assert any("are one photo" in words for words in told(copied, fatal=False))
    again = Entry(entries[0].path, ("trees",))
    (words,) = told(Manifest("multi_label", (*entries, again)), fatal=True)
    assert "listed 2 times, under 'sea' and 'trees'" in words


def test_photos_twice_under_one_label_are_told_and_so_are_those_in_two_splits(tmp_path: Path) -> None:
    photos(tmp_path, sea=12, trees=12)
    (tmp_path / "sea" / "copy.jpg").write_bytes((tmp_path / "sea" / "3.jpg").read_bytes())
    manifest = read_data(tmp_path)
    assert told(manifest, fatal=False) == [
        f"{tmp_path}/sea/3.jpg and {tmp_path}/sea/copy.jpg are one photo; leave it once."
    ]
    parted = manifest.changed(lambda place, each: replace(each, split="test" if place % 3 == 0 else "train"))
    assert any("are one photo, in test and train; leave it in one" in words for words in told(parted, fatal=False))
    assert told(manifest, fatal=True) == []


def test_a_set_where_all_are_copies_is_told_class_by_class(tmp_path: Path) -> None:
    for name in ("sea", "trees"):
        (tmp_path / name).mkdir()
        for index in range(5):
            (tmp_path / name / f"{index}.jpg").write_text(f"GIF89a, {name}")
    sea, trees = told(read_data(tmp_path), fatal=True)
    assert sea.startswith(f"all 5 photos of the class 'sea' are one photo, such as {tmp_path}/sea/0.jpg")
    assert "'trees'" in trees


def test_one_class_alone_teaches_nothing(tmp_path: Path) -> None:
    manifest = read_data(photos(tmp_path, sea=12))
    assert told(manifest, fatal=True) == [
        "the set has photos of 'sea' alone to learn from; a training needs two classes or more."
    ]
    nothing = manifest.dropping(dict.fromkeys(range(12), "black: brightness 2 of 255"))
    assert "no photo with a label" in told(nothing, fatal=True)[0]
    assert "all photos of the class 'sea' are dropped" in told(nothing, fatal=False)[0]


def test_photos_that_are_not_there_are_told_and_fatal_where_none_is(tmp_path: Path) -> None:
    manifest = read_data(photos(tmp_path, sea=12, trees=12))
    (tmp_path / "sea" / "0.jpg").unlink()
    assert f"1 of 24 photos are not where the set says, such as {tmp_path}/sea/0.jpg" in told(manifest, fatal=False)[0]
    tmp_path.joinpath("sea").rename(tmp_path / "elsewhere")
    tmp_path.joinpath("trees").rename(tmp_path / "elsewhere too")
    assert told(manifest, fatal=True)[0].startswith("none of the 24 photos is where the set says")


def test_splits_that_there_are_not_and_classes_that_a_split_lacks_are_told() -> None:
    def part(label: str, *splits: str) -> tuple[Entry, ...]:
        return tuple(Entry(f"{label}/{place}", (label,), split) for place, split in enumerate(splits))

    entries = (
        *part("all", "train", "validation", "test"),
        *part("judged", "validation", "test"),
        *part("learnt", "", "test"),
        *part("tested", "test"),
        *part("wrong", "train", "valid", "test"),
    )
    found = {problem.words.split(";")[0]: problem.fatal for problem in part_problems(Manifest("single_label", entries))}
    assert found == {
        "the split 'valid' is unknown": True,
        "the class 'judged' has no photo for train": True,
        "the class 'learnt' has no photo for validation": False,
        "the class 'tested' has no photo for train and validation": False,
        "the class 'wrong' has no photo for validation": False,
    }
    assert part_problems(Manifest("single_label", part("all", "", ""))) == []


def test_a_group_in_two_splits_is_fatal_and_so_is_a_photo(tmp_path: Path) -> None:
    photos(tmp_path, sea=12, trees=12)
    manifest = read_data(tmp_path).changed(
        lambda place, entry: replace(entry, split="validation" if place % 4 == 0 else "train", group=f"{place // 4}")
    )
    words = told(manifest, fatal=True)
    assert len(words) == 6
    assert words[0] == "the group '0' is in train and validation; split it anew, whole."
    alone = manifest.changed(lambda _place, entry: replace(entry, group=""))
    assert told(alone, fatal=True) == []
    twice = replace(alone, entries=(*alone.entries, replace(alone.entries[0], split="train")))
    (words,) = told(twice, fatal=True)
    assert words == f"{tmp_path}/sea/0.jpg is listed 2 times, in train and validation; leave it in one."


def test_files_that_are_no_photos_are_no_copies(tmp_path: Path) -> None:
    photos(tmp_path, sea=12, trees=12)
    for name in ("sea", "trees"):
        (tmp_path / name / "empty.jpg").write_bytes(b"")
        (tmp_path / name / "gone.jpg").write_text("<html>404</html>")
    assert told(read_data(tmp_path), fatal=True) == []


def test_groups_that_share_a_photo_become_one() -> None:
    groups = ["film", "", "walk", "walk", "", "", "film", ""]
    assert join_groups(groups, []) == tuple(groups)
    assert join_groups(groups, [(1, 0)])[1] == "film"
    assert join_groups(groups, [(2, 6)]) == ("film", "", "film", "film", "", "", "film", "")
    assert join_groups(groups, [(4, 5), (5, 7)]) == ("film", "", "walk", "walk", *["copies-4"] * 2, "film", "copies-4")
    assert join_groups(groups, [(1, 4), (4, 3), (1, 0)]) == (*["film"] * 5, "", "film", "")


def test_photos_without_a_label_are_counted() -> None:
    bare = Manifest("multi_label", (*(Entry(f"{each}", ("sea",)) for each in range(12)), Entry("x", ())))
    assert "1 of 13 photos have no label" in " ".join(told(bare, fatal=False))


def test_files_of_one_size_are_compared_and_no_more_bytes_are_read_than_bearable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, content in (("a", "GIF89a, one"), ("b", "GIF89a, two"), ("c", "GIF89a, one"), ("d", "GIF89a, three")):
        (tmp_path / name).write_text(content)
    (tmp_path / "e").symlink_to(tmp_path / "d")
    paths = [str(tmp_path / name) for name in "abcdef"]
    found = look_at_files(paths)
    assert found.missing == (5,)
    assert found.same == ((0, 2), (3, 4))
    monkeypatch.setattr("veduta.datasets.identical.MOST_READ", 5)
    assert look_at_files(paths).same == ((3, 4),)
