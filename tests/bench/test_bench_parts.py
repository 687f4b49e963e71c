"""The parts of the benchmarks that figures depend on."""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]


@pytest.fixture
def bench_photos(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT))
    return importlib.import_module("bench.photos")


def test_a_made_photo_is_the_same_each_time_and_unlike_the_next(
    bench_photos: ModuleType, shared_data: Path, tmp_path: Path
) -> None:
    places = [tmp_path / "a" / "00000.jpg", tmp_path / "b" / "00000.jpg", tmp_path / "a" / "00005.jpg"]
    for place in places:
        place.parent.mkdir(exist_ok=True)
        bench_photos.make_photo(bench_photos.SMALL, place)
    same, again, other = (place.read_bytes() for place in places)
    assert same == again
    assert same != other
    with Image.open(places[0]) as photo:
        assert (photo.format, photo.size) == ("JPEG", (640, 480))


def test_a_made_photo_of_12_megapixels_has_the_bytes_of_one(
    bench_photos: ModuleType, shared_data: Path, tmp_path: Path
) -> None:
    target = tmp_path / "00003.jpg"
    bench_photos.make_photo(bench_photos.LARGE, target)
    with Image.open(target) as photo:
        assert photo.size == (4000, 3000)
    assert 1_000_000 < target.stat().st_size < 6_000_000


def test_the_base_install_is_followed_through_its_requirements_but_not_through_extras(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    if importlib.util.find_spec("packaging") is None:
        pytest.skip("packaging is not installed; it comes with the extra bench")
    start = importlib.import_module("bench.start")
    found = start.base_install()
    assert {"veduta", "numpy", "openvino", "pillow", "typer"} <= set(found)
    assert not {"torch", "scipy", "pyarrow", "pytest", "transformers"} & set(found)
