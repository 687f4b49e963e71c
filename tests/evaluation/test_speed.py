from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from veduta.errors import UsageError
from veduta.evaluation.speed import measure_speed, measure_whole_way, processor_name
from veduta.images.pool import DecodePool
from veduta.recognition.tagger import Tagger
from veduta.records import Sample


def test_a_speed_is_told_with_its_conditions(made_model: Callable[..., Tagger]) -> None:
    session = made_model().session
    speed = measure_speed(session, (16, 20), ["logits"], seconds=0.01, rounds=3)
    assert 0 < speed.slowest <= speed.photos_per_second <= speed.fastest
    assert (speed.height, speed.width, speed.threads, speed.rounds) == (16, 20, 1, 3)
    assert "1 thread, openvino, float32, median of 3 rounds" in speed.conditions
    with pytest.raises(UsageError, match="measure nothing"):
        measure_speed(session, (16, 16), ["logits"], rounds=0)


def test_the_whole_way_from_files_is_told_in_the_same_way(
    made_model: Callable[..., Tagger], colour_folders: Callable[..., Path]
) -> None:
    root = colour_folders("set", {"kitchen": ["red", "red", "broken"]})
    samples = [Sample(str(file)) for file in sorted(root.rglob("*.png"))]
    tagger = made_model()
    with DecodePool(1) as pool:
        speed = measure_whole_way(tagger, samples, pool, rounds=2)
        with pytest.raises(UsageError, match="2 rounds of 0 photos measure nothing"):
            measure_whole_way(tagger, [], pool, rounds=2)
    assert 0 < speed.slowest <= speed.photos_per_second <= speed.fastest
    assert (speed.height, speed.width, speed.threads, speed.rounds) == (48, 48, 1, 2)


def test_the_processor_is_called_as_the_system_calls_it(tmp_path: Path) -> None:
    info = tmp_path / "cpuinfo"
    info.write_text("processor : 0\nmodel name\t: Made CPU @ 2 GHz\n")
    assert processor_name(info) == "Made CPU @ 2 GHz"
    assert processor_name(tmp_path / "none")
