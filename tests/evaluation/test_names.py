from __future__ import annotations

import pytest

from veduta.evaluation.names import coarse_of_folder, match_label
from veduta.labels.categories import places100
from veduta.labels.taxonomy import Taxonomy
from veduta.records import Label


@pytest.mark.parametrize(
    ("folder", "id"),
    [
        ("kitchen", "kitchen"),
        ("church-outdoor", "church/outdoor"),
        ("church_outdoor", "church/outdoor"),
        ("Football Stadium", "stadium/football"),
        ("living room", "living_room"),
        ("LIVING-ROOM", "living_room"),
        ("cathedral", None),
        ("room", None),
        ("", None),
    ],
)
def test_a_folder_means_the_label_of_its_name_in_any_spelling_and_nothing_like_it(folder: str, id: str | None) -> None:
    place = match_label(folder, places100())
    assert (places100()[place].id if place is not None else None) == id


def test_every_label_is_found_by_its_id_and_by_the_folder_of_it() -> None:
    for index, label in enumerate(places100()):
        assert match_label(label.id, places100()) == index
        assert match_label(label.id.replace("/", "-"), places100()) == index


def test_a_name_that_two_labels_share_is_neither() -> None:
    twins = (Label("a", "old port"), Label("b", "port, old"))
    assert match_label("old_port", twins) == 0
    assert match_label("OLD_PORT_", twins) == 0
    assert match_label("port old now", twins) is None
    assert match_label("Old Port", (Label("a", "old-port"), Label("b", "old port"))) is None


@pytest.mark.parametrize(
    ("folder", "coarse"),
    [
        ("museum", "museum"),
        ("art_gallery", "museum"),
        ("football_stadium", "stadium"),
        ("stadium", "stadium"),
        ("desert", "desert"),
        ("library", "library"),
        ("nature", None),
        ("landscape", None),
        ("tennis_court", None),
        ("ice_skating", None),
        ("car", None),
    ],
)
def test_a_folder_means_a_coarse_label_by_its_name_a_scene_or_scenes_of_one(folder: str, coarse: str | None) -> None:
    assert coarse_of_folder(folder, Taxonomy.load(None)) == coarse
