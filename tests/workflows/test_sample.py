"""Generated pictures as files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="the extra train is not installed")

from veduta.datasets.manifest import read_data
from veduta.generation.export import write_generator
from veduta.generation.generator import make_generator
from veduta.generation.presets import PRESETS
from veduta.workflows.sample import write_sample


def test_classes_called_like_a_way_out_or_like_our_files_stay_in_the_folder(tmp_path: Path) -> None:
    preset = replace(PRESETS["dense"], side=32, filters=8, latent=4)
    labels = ("..", "a/../../b", "grid.png", "manifest.csv")
    bundle = write_generator(
        tmp_path / "g", make_generator(preset, len(labels)).eval(), preset, labels, name="g", card="# g\n"
    )
    write_sample(tmp_path / "made" / "here", bundle.path, count=8)
    assert sorted(each.name for each in (tmp_path / "made").iterdir()) == ["here"]
    entries = read_data(tmp_path / "made" / "here").entries
    assert [entry.labels[0] for entry in entries] == [*labels, *labels]
    root = (tmp_path / "made" / "here").resolve()
    assert all(Path(entry.path).resolve().is_relative_to(root) and Path(entry.path).is_file() for entry in entries)
