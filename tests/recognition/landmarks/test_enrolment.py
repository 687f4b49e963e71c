"""A landmark by a handful of photos; what can't be meant leaves the index as it was."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from veduta.errors import IndexIncompatible, UsageError
from veduta.recognition.landmarks.enrolment import SeenPhotos, enrol, new_landmark, plain_id, see_photos
from veduta.recognition.landmarks.entries import EmbeddingIdentity
from veduta.recognition.landmarks.index_file import IndexFile
from veduta.recognition.landmarks.recogniser import PhotoEmbedder
from veduta.recognition.tagger import Tagger

from .conftest import BLUE, GREEN, RED, Make


def test_its_photos_are_found_again_and_it_collides_with_none(
    file: IndexFile, embedder: PhotoEmbedder, photos: Make
) -> None:
    for name, colour in (("red", RED), ("green", GREEN)):
        done = enrol(file, embedder, new_landmark(name), see_photos(photos(name, colour), embedder))
        assert (done.photos, done.found_again, done.collisions, done.copies) == (5, 5, (), 0)
    assert file.ids() == ["red", "green"]
    assert file.photo_counts() == {"red": 5, "green": 5}
    assert file.photos("red", thumbnails=True)[0].thumbnail is not None


def test_scenes_tell_whether_it_is_outdoors(
    file: IndexFile, embedder: PhotoEmbedder, photos: Make, make_tagger: Callable[..., Tagger]
) -> None:
    # Of the made model's scenes the red one is indoors, the others are not.
    scenes = make_tagger("scenes")
    for name, colour in (("red", RED), ("green", GREEN)):
        enrol(file, embedder, new_landmark(name), see_photos(photos(name, colour), embedder, scenes=scenes))
    assert file.outdoor("red") == 0
    assert file.outdoor("green") == 1


def test_one_that_looks_like_another_is_told(file: IndexFile, embedder: PhotoEmbedder, photos: Make) -> None:
    enrol(file, embedder, new_landmark("red"), see_photos(photos("red", RED), embedder))
    orange = photos("orange", (200, 120, 20))
    done = enrol(file, embedder, new_landmark("orange"), see_photos(orange, embedder))
    assert [each.landmark.id for each in done.collisions] == ["red"]
    assert done.collisions[0].photos == 5
    assert 0.75 < done.collisions[0].similarity < 0.97


def test_copies_count_once_and_what_can_not_be_read_is_told(
    file: IndexFile, embedder: PhotoEmbedder, photos: Make, tmp_path: Path
) -> None:
    paths = photos("red", RED, 3)
    shutil.copy(paths[0], tmp_path / "again.png")
    (tmp_path / "text.png").write_text("no photo")
    seen = see_photos([*paths, str(tmp_path / "again.png"), str(tmp_path / "text.png")], embedder)
    done = enrol(file, embedder, new_landmark("red"), seen)
    assert (done.photos, done.copies, len(done.failures)) == (3, 1, 1)


def test_one_photo_alone_can_not_be_found_again(file: IndexFile, embedder: PhotoEmbedder, photos: Make) -> None:
    done = enrol(file, embedder, new_landmark("red"), see_photos(photos("red", RED, 1), embedder))
    assert done.found_again is None


def test_photos_are_added_to_one_that_is_there(file: IndexFile, embedder: PhotoEmbedder, photos: Make) -> None:
    landmark = new_landmark("red", city="Rome")
    first, more = photos("red", RED), photos("more", RED, 4, seed=1)
    enrol(file, embedder, landmark, see_photos(first, embedder))
    done = enrol(file, embedder, landmark, see_photos([*more, first[0]], embedder), add=True)
    assert done.photos == 9
    assert file.ids() == ["red/rome"]


@pytest.mark.parametrize("add", [False, True])
def test_what_can_not_be_meant_leaves_the_index_as_it_was(
    file: IndexFile, embedder: PhotoEmbedder, photos: Make, tmp_path: Path, add: bool
) -> None:
    red = see_photos(photos("red", RED), embedder)
    enrol(file, embedder, new_landmark("red"), red)
    before = (file.ids(), file.photo_counts())
    (tmp_path / "text.png").write_text("no photo")
    nothing = see_photos([str(tmp_path / "text.png")], embedder)
    with pytest.raises(UsageError, match=r"no photo of blue can be used.*as it was"):
        enrol(file, embedder, new_landmark("blue"), nothing, add=add)
    if add:
        with pytest.raises(UsageError, match="no landmark blue"):
            enrol(file, embedder, new_landmark("blue"), see_photos(photos("blue", BLUE), embedder), add=True)
    else:
        with pytest.raises(UsageError, match="has red already"):
            enrol(file, embedder, new_landmark("red"), see_photos(photos("blue", BLUE), embedder))
        with pytest.raises(UsageError, match=r"the index has as red .*as it was"):
            enrol(file, embedder, new_landmark("other name"), red)
        twin = see_photos(photos("twin", RED, seed=3), embedder)
        with pytest.raises(UsageError, match="the index has as red"):
            enrol(file, embedder, new_landmark("red", city="Rome"), twin)
    assert (file.ids(), file.photo_counts()) == before


def test_an_index_of_another_embedding_is_refused_by_name(
    tmp_path: Path, embedder: PhotoEmbedder, photos: Make
) -> None:
    other = IndexFile.create(tmp_path / "other.landmarks", EmbeddingIdentity("paris-net", "f" * 32, 8))
    with pytest.raises(IndexIncompatible, match=r"other\.landmarks was made by the embedding of paris-net \(8 numbers"):
        enrol(other, embedder, new_landmark("red"), see_photos(photos("red", RED), embedder))


@pytest.mark.parametrize(
    "told", [{"name": ""}, {"name": "a" * 300}, {"name": "a\nb"}, {"name": "a", "city": " "},
             {"name": "a", "position": (91.0, 0.0)}, {"name": "a", "position": (0.0, float("nan"))}]
)  # fmt: skip
def test_a_name_or_position_that_is_none_is_refused(told: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        new_landmark(**told)  # type: ignore[arg-type]


def test_two_of_one_name_have_ids_of_their_own() -> None:
    assert new_landmark("Notre-Dame", city="Paris").id == "notre_dame/paris"
    assert new_landmark("Notre-Dame", city="Montréal").id == "notre_dame/montreal"
    assert plain_id("Cité de l'Espace") == "cite_de_l_espace"
    assert plain_id("天坛") == "天坛"
    assert plain_id("!?") == "landmark"


@given(st.text(max_size=300))
def test_an_id_is_plain_and_short(name: str) -> None:
    id = plain_id(name)
    assert 0 < len(id) <= 90
    assert "/" not in id


def test_photos_that_are_added_count_by_their_number_for_whether_it_is_outdoors(
    file: IndexFile, embedder: PhotoEmbedder, photos: Make
) -> None:
    first = replace(see_photos(photos("red", RED, 9), embedder), outdoor=1.0)
    enrol(file, embedder, new_landmark("red"), first)
    added = replace(see_photos(photos("more", RED, 3, seed=5), embedder), outdoor=0.0)
    done = enrol(file, embedder, new_landmark("red", position=(41.0, -8.0)), added, add=True)
    assert file.outdoor("red") == pytest.approx(0.75)
    assert done.landmark.position == (41.0, -8.0)


def test_two_programs_that_add_at_once_lose_nothing(file: IndexFile, embedder: PhotoEmbedder, photos: Make) -> None:
    enrol(file, embedder, new_landmark("red"), see_photos(photos("red", RED, 3), embedder))
    more = [see_photos(photos(f"more{n}", RED, 3, seed=n + 5), embedder) for n in range(2)]

    def add(seen: SeenPhotos) -> None:
        with IndexFile(file.file) as own:
            enrol(own, embedder, new_landmark("red"), seen, add=True)

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(add, more))
    assert file.photo_counts() == {"red": 9}
