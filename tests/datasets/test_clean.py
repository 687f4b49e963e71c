from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

pytest.importorskip("pdqhash", reason="the extra dataset is not installed")
pytest.importorskip("faiss", reason="the extra dataset is not installed")
pytest.importorskip("scipy", reason="the extra dataset is not installed")

from veduta.datasets.clean import Cleaned, Rules, clean, findings, survey_and_clean
from veduta.datasets.duplicates import Fingerprints, find_copies
from veduta.datasets.manifest import read_data
from veduta.datasets.survey import survey
from veduta.errors import UsageError
from veduta.images.pool import DecodePool


@pytest.fixture(scope="module")
def pool() -> Iterator[DecodePool]:
    with DecodePool(1) as pool:
        yield pool


def painted(seed: int, side: int = 160) -> Image.Image:
    """Something with edges and colours of its own."""
    random = np.random.default_rng(seed)
    image = Image.fromarray(random.integers(0, 255, (6, 8, 3)).astype(np.uint8)).resize((side * 4 // 3, side), 3)
    pen = ImageDraw.Draw(image)
    for _ in range(25):
        x, y, width, height = random.integers(0, side, 4)
        pen.rectangle((x, y, x + width // 3, y + height // 3), fill=tuple(map(int, random.integers(0, 255, 3))))
    return image


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for name in ("sea", "trees"):
        (tmp_path / "photos" / name).mkdir(parents=True)
    for index in range(4):
        painted(index).save(tmp_path / "photos" / "sea" / f"{index}.jpg", quality=92)
        painted(10 + index).save(tmp_path / "photos" / "trees" / f"{index}.jpg", quality=92)
    return tmp_path / "photos"


def cleaned(photos: Path, pool: DecodePool, rules: Rules = Rules()) -> Cleaned:  # noqa: B008
    manifest = read_data(photos)
    seen = survey([entry.path for entry in manifest.entries], pool, with_fingerprints=rules.copies)
    return clean(manifest, seen, rules)


def reasons(found: Cleaned) -> dict[str, str]:
    return {Path(entry.path).name: entry.dropped for entry in found.manifest.entries if entry.dropped}


def test_a_clean_set_stays_as_it_is(photos: Path, pool: DecodePool) -> None:
    assert cleaned(photos, pool).manifest == read_data(photos)


def test_what_can_not_be_used_goes_with_its_reason(photos: Path, pool: DecodePool) -> None:
    (photos / "sea" / "text.jpg").write_text("no photo")
    painted(50, 30).save(photos / "sea" / "tiny.png")
    Image.new("RGB", (200, 200), (3, 2, 4)).save(photos / "sea" / "night.png")
    found = reasons(cleaned(photos, pool))
    assert found.keys() == {"text.jpg", "tiny.png", "night.png"}
    assert found["text.jpg"].startswith("unreadable: ")
    assert found["tiny.png"] == "small: 40 by 30 pixels"
    assert found["night.png"] == "black: brightness 3 of 255"


def test_the_best_of_all_copies_is_kept_over_the_whole_set(photos: Path, pool: DecodePool) -> None:
    source = painted(3, 480)
    source.save(photos / "sea" / "3.jpg", quality=92)
    source.resize((400, 300)).save(photos / "sea" / "again.jpg", quality=60)
    source.transpose(Image.Transpose.FLIP_LEFT_RIGHT).resize((300, 225)).save(photos / "sea" / "mirrored.webp")
    (photos / "sea" / "same.jpg").write_bytes((photos / "sea" / "0.jpg").read_bytes())
    found = cleaned(photos, pool)
    assert reasons(found) == {
        "again.jpg": "copy: of sea/3.jpg",
        "mirrored.webp": "copy: of sea/3.jpg",
        "same.jpg": "copy: of sea/0.jpg",
    }
    assert [len(group) for group in found.copies] == [2, 3]
    assert not found.conflicts
    kept = next(entry for entry in found.manifest.entries if entry.path.endswith("3.jpg"))
    assert kept.group
    assert cleaned(photos, pool, Rules(copies=False)).manifest == read_data(photos)


def test_one_photo_under_two_labels_is_kept_once_and_told(photos: Path, pool: DecodePool) -> None:
    painted(0).resize((400, 300)).save(photos / "trees" / "sea too.jpg", quality=80)
    found = cleaned(photos, pool)
    assert len(found.conflicts) == 1
    (kept,) = [entry for entry in found.manifest.kept if entry.suspicion]
    assert kept.suspicion == "copies of it lie under sea and trees"


def test_logos_and_blurred_photos_are_suspected_and_kept(photos: Path, pool: DecodePool) -> None:
    logo = Image.new("RGB", (300, 300), "white")
    ImageDraw.Draw(logo).ellipse((80, 90, 220, 210), fill="teal")
    logo.save(photos / "sea" / "logo.png")
    painted(70).filter(ImageFilter.GaussianBlur(8)).save(photos / "trees" / "soft.jpg")
    found = cleaned(photos, pool)
    assert not reasons(found)
    told = {Path(entry.path).name: entry.suspicion for entry in found.manifest.entries if entry.suspicion}
    assert told.keys() == {"logo.png", "soft.jpg"}
    assert told["logo.png"].startswith("no photograph?")
    assert told["soft.jpg"].startswith("blurred?")


def test_a_set_of_one_photo_many_times_keeps_one(tmp_path: Path, pool: DecodePool) -> None:
    (tmp_path / "sea").mkdir()
    for index in range(5):
        painted(1, 160 + 8 * index).save(tmp_path / "sea" / f"{index}.jpg")
    found = cleaned(tmp_path, pool)
    assert [Path(entry.path).name for entry in found.manifest.kept] == ["4.jpg"]


def test_copies_join_the_groups_that_they_were_in(photos: Path, pool: DecodePool) -> None:
    painted(3, 480).save(photos / "sea" / "large.jpg", quality=92)
    of = {"3.jpg": "film", "0.jpg": "film", "1.jpg": "walk"}
    manifest = read_data(photos).changed(
        lambda _place, entry: replace(entry, group=of.get(Path(entry.path).name, "") if "/sea/" in entry.path else "")
    )
    found = survey_and_clean(manifest, pool).manifest
    groups = {Path(entry.path).name: entry.group for entry in found.entries if "/sea/" in entry.path}
    assert groups == {**of, "2.jpg": "", "large.jpg": "film"}
    assert [Path(entry.path).name for entry in found.entries if entry.dropped] == ["3.jpg"]


def test_of_equal_files_the_first_alone_is_compared(
    photos: Path, pool: DecodePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in range(20):
        (photos / "trees" / f"again {place}.jpg").write_bytes((photos / "trees" / "0.jpg").read_bytes())
    compared: list[int] = []

    def counted(fingerprints: Fingerprints) -> np.ndarray:
        compared.append(len(fingerprints))
        return find_copies(fingerprints)

    monkeypatch.setattr("veduta.datasets.clean.find_copies", counted)
    found = cleaned(photos, pool)
    assert compared == [8]
    assert len(found.manifest.kept) == 8
    assert len({entry.group for entry in found.manifest.entries if "/trees/again" in entry.path}) == 1


def test_a_set_without_a_readable_photo_is_answered(tmp_path: Path, pool: DecodePool) -> None:
    (tmp_path / "sea").mkdir()
    (tmp_path / "sea" / "a.jpg").write_text("no photo")
    assert not cleaned(tmp_path, pool).manifest.kept


def test_rules_that_can_not_be_meant_are_refused() -> None:
    with pytest.raises(UsageError, match="least_side is -1"):
        Rules(least_side=-1)
    with pytest.raises(UsageError, match="most_ground is nan"):
        Rules(most_ground=float("nan"))


def test_photos_that_were_dropped_before_are_not_looked_at_and_not_told_again(photos: Path, pool: DecodePool) -> None:
    (photos / "sea" / "0.jpg").unlink()
    Image.new("RGB", (200, 200), (3, 2, 4)).save(photos / "trees" / "night.png")
    before = read_data(photos).dropping({0: "missing: not in photos"})
    gone = before.entries[0].path
    Path(gone).write_text("no photo")
    told: list[tuple[int, int, int]] = []
    after = survey_and_clean(before, pool, progress=lambda *counts: told.append(counts)).manifest
    assert told[-1] == (7, 0, 7)
    assert after.entries[0].dropped == "missing: not in photos"
    assert findings(before, after) == [(str(photos / "trees" / "night.png"), "black: brightness 3 of 255")]


def test_few_of_the_real_photos_are_suspected(shared_data: Path, pool: DecodePool) -> None:
    folders = ("aquarium", "bedroom", "sky", "windmill")
    paths = [str(path) for name in folders for path in sorted((shared_data / "sun27" / name).iterdir())[:20]]
    seen = survey(paths, pool, with_fingerprints=False)
    rules = Rules()
    suspects = [look for look in seen.looks if look and (look.ground >= rules.most_ground or look.sharpness < 0.85)]
    print(f"{len(suspects)} of {len(paths)} suspected")
    assert len(suspects) <= 4
