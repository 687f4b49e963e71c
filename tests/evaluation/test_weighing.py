"""Models weighed on made photos: what counts, what is refused, and that the weights are those of the numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from veduta.errors import UsageError
from veduta.evaluation.answers import ask
from veduta.evaluation.label_map import LabelMap
from veduta.evaluation.pooling import pool_weights
from veduta.evaluation.weighing import weigh
from veduta.images.pool import DecodePool
from veduta.models.ensemble_weights import Member
from veduta.recognition.tagger import Tagger
from veduta.records import Label, Sample

Model = Callable[..., Tagger]
Folders = Callable[[str, dict[str, list[str]]], Path]

#: Of the same graph as kitchen, forest path and ocean.
OTHERS = (Label("bar", "bar"), Label("rainforest", "rainforest"), Label("ocean", "ocean"))

#: Two of three photos are what their colour says.
PHOTOS = {
    "kitchen": ["red"] * 14 + ["green", "blue"] * 3,
    "forest_path": ["green"] * 20 + ["blue"] * 10,
    "ocean": ["blue"] * 20 + ["green"] * 10,
}


@pytest.fixture(scope="module")
def pool() -> Iterator[DecodePool]:
    with DecodePool(1) as made:
        yield made


@pytest.fixture
def sharp_and_soft(made_model: Model) -> list[Tagger]:
    return [made_model(temperature=0.5, name="sharp"), made_model(temperature=8.0, name="soft")]


def test_models_with_the_same_labels_are_weighed_by_these(
    sharp_and_soft: list[Tagger], colour_folders: Folders, pool: DecodePool
) -> None:
    data = colour_folders("album", PHOTOS)
    told: list[tuple[int, int, int]] = []
    found = weigh(sharp_and_soft, data, pool, progress=lambda *counts: told.append(counts))
    assert (found.models, found.basis, found.data) == (("sharp", "soft"), "labels", "album")
    assert (found.lacking, found.elsewhere, found.failures) == ((0, 0), None, ())
    samples = [Sample(str(path), folder) for folder in PHOTOS for path in sorted((data / folder).iterdir())]
    places = {label.id: place for place, label in enumerate(sharp_and_soft[0].labels)}
    truth = []
    for tagger in sharp_and_soft:
        answers = ask(tagger, samples, pool)
        truth.append(
            [row[places[sample.label or ""]] for row, sample in zip(answers.probabilities, samples, strict=True)]
        )
    assert found.pooling.weights == pytest.approx(pool_weights(np.array(truth)).tolist(), abs=1e-6)
    assert found.pooling.photos == 80
    # A third of the sharp one's answers are as sure as they are wrong.
    assert found.pooling.weights[1] > 0.6
    assert found.pooling.better
    assert told[-1] == (160, 0, 160)
    learnt = found.learnt
    assert learnt.members == tuple(
        Member(tagger.bundle.name, tagger.bundle.bundle_id, weight)
        for tagger, weight in zip(sharp_and_soft, found.pooling.weights, strict=True)
    )
    assert (learnt.basis, learnt.learnt_on) == ("labels", "album, 80 photos")
    assert (learnt.loss_equal, learnt.loss_weighted) == (found.pooling.equal.value, found.pooling.weighted.value)


def test_models_with_other_labels_are_weighed_by_everyday_labels_that_all_have(
    made_model: Model, colour_folders: Folders, pool: DecodePool
) -> None:
    taggers = [made_model(temperature=0.5, name="sharp"), made_model(temperature=8.0, name="soft", labels=OTHERS)]
    data = colour_folders("album", {**PHOTOS, "coast": ["red"] * 3})
    found = weigh(taggers, data, pool)
    assert found.basis == "coarse"
    # The second has no kitchen, the first has all; a bar is a restaurant and in no photo, a coast is none of theirs.
    assert found.lacking == (0, 20)
    assert found.pooling.photos == 60
    # All of it comes from the first, but for photos of which it says next to nothing itself.
    assert found.elsewhere == pytest.approx(np.log(found.pooling.weights[0] / 0.5), abs=0.05)
    assert [*found.mapping.unnamed, *found.mapping.absent] == ["coast"]


def test_names_of_the_set_mean_what_they_are_told_to(
    sharp_and_soft: list[Tagger], colour_folders: Folders, pool: DecodePool
) -> None:
    data = colour_folders(
        "album", {"cuisine": PHOTOS["kitchen"], "wood": PHOTOS["forest_path"], "ocean": PHOTOS["ocean"]}
    )
    meanings = LabelMap({"cuisine": "kitchen", "wood": "forest_path"})
    assert weigh(sharp_and_soft, data, pool, meanings=meanings).pooling.photos == 80
    with pytest.raises(UsageError, match="'kichen', which 'cuisine' is to mean"):
        weigh(sharp_and_soft, data, pool, meanings=LabelMap({"cuisine": "kichen"}))


def test_of_a_manifest_the_validation_photos_count_and_others_where_they_are_named(
    sharp_and_soft: list[Tagger], colour_folders: Folders, pool: DecodePool
) -> None:
    data = colour_folders("album", PHOTOS)
    rows = [f"{folder}/{path.name},{folder}" for folder in PHOTOS for path in sorted((data / folder).iterdir())]
    splits = [f"{row},{'validation' if place % 10 else 'test'}" for place, row in enumerate(rows)]
    (data / "manifest.csv").write_text("\n".join(["path,label,split", *splits]))
    found = weigh(sharp_and_soft, data, pool)
    assert (found.data, found.pooling.photos) == ("album, validation", 72)
    assert weigh(sharp_and_soft, data, pool, split="all").pooling.photos == 80
    (data / "manifest.csv").write_text("\n".join(["path,label,split", *(f"{row},test" for row in rows)]))
    with pytest.raises(UsageError, match="none for validation: say which to choose by with --split"):
        weigh(sharp_and_soft, data, pool)


def test_photos_without_an_answer_count_nowhere_and_are_told_once(
    sharp_and_soft: list[Tagger], colour_folders: Folders, pool: DecodePool
) -> None:
    # The graph gives no number for white photos.
    data = colour_folders("album", {**PHOTOS, "kitchen": [*PHOTOS["kitchen"], "broken", "white"]})
    found = weigh(sharp_and_soft, data, pool)
    assert found.pooling.photos == 80
    assert [failure.error for failure in found.failures] == ["CorruptPhoto", "NoAnswer"]


@pytest.mark.parametrize(
    ("folders", "told"),
    [
        ({"kitchen": ["red"] * 49}, "49 photos of labels that all models have"),
        ({"kitchen": ["red"] * 49 + ["broken"]}, "49 photos of labels that all models have"),
        ({"coast": ["red"] * 60}, "'coast' means none of the models' classes"),
    ],
)
def test_too_few_photos_are_refused(
    sharp_and_soft: list[Tagger], colour_folders: Folders, pool: DecodePool, folders: dict[str, list[str]], told: str
) -> None:
    with pytest.raises(UsageError, match=told):
        weigh(sharp_and_soft, colour_folders("album", folders), pool)


def test_photos_of_many_labels_are_refused(
    sharp_and_soft: list[Tagger], colour_folders: Folders, pool: DecodePool
) -> None:
    data = colour_folders("album", {"images": ["red", "blue"]})
    (data / "labels.csv").write_text("file,kitchen,ocean\nimages/0.png,1,0\nimages/1.png,0,1\n")
    with pytest.raises(UsageError, match="any number of labels"):
        weigh(sharp_and_soft, data / "labels.csv", pool)


def test_models_that_can_not_be_compared_are_refused(made_model: Model, tmp_path: Path, pool: DecodePool) -> None:
    objects = tuple(Label(name, name) for name in ("teapot", "spoon", "sieve"))
    half = (Label("ocean", "ocean", coarse="sea"), Label("spoon", "spoon"), Label("sieve", "sieve"))
    scenes, again = made_model(name="scenes"), made_model(name="again")
    for taggers, told in (
        ([], "one model has nothing to be weighed against"),
        ([scenes], "one model has nothing to be weighed against"),
        ([scenes, again], "scenes and again are one and the same model"),
        ([scenes, made_model(name="many", task="multi_label")], "'many' may see several labels in one photo"),
        ([scenes, made_model(name="things", labels=objects)], "those of 'things' lie in no everyday labels"),
        ([scenes, made_model(name="small", temperature=3.0, size=32)], "weighed at their own sizes"),
    ):
        with pytest.raises(UsageError, match=told):
            weigh(taggers, tmp_path, pool)
    (tmp_path / "set" / "ocean").mkdir(parents=True)
    (tmp_path / "set" / "ocean" / "0.png").write_bytes(b"never read")
    with pytest.raises(UsageError, match="'spoon' and 'sieve' lie in no everyday label"):
        weigh([scenes, made_model(name="half", labels=half)], tmp_path / "set", pool)
