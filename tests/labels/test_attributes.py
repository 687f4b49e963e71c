from __future__ import annotations

from pathlib import Path

from veduta.labels.attributes import sun_attributes


def test_the_102_attributes_are_those_of_the_database_in_its_order(shared_data: Path) -> None:
    names = (shared_data / "labels" / "sun_attributes.txt").read_text(encoding="utf-8").splitlines()
    assert [label.name for label in sun_attributes()] == names
    assert len({label.id for label in sun_attributes()}) == 102


def test_an_id_has_no_space_and_an_attribute_no_environment() -> None:
    labels = {label.id: label for label in sun_attributes()}
    assert labels["waiting_in_line"].name == "waiting in line"
    assert labels["semi-enclosed_area"].environment is None
    assert not any(" " in id for id in labels)
