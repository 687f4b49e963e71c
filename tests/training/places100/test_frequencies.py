"""Frequencies of attributes by category: counted, drawn towards the mean, and lent by kin or by nobody."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from veduta.datasets.sun_attribute_table import read_annotations
from veduta.labels.categories import places100, places365
from veduta.labels.taxonomy import Taxonomy
from veduta.records import Label
from veduta.training.places100.frequencies import count_frequencies

LABELS = (
    Label("forest", "forest", "outdoor", "green"),
    Label("church/indoor", "church", "indoor", "church"),
    Label("jungle", "jungle", "outdoor", "green"),
    Label("greenhouse", "greenhouse", "indoor", "green"),
    Label("moon", "moon", "outdoor"),
)
CATEGORIES = ("forest",) * 10 + ("church/outdoor",) * 4 + ("kitchen",) * 6


def made_present() -> np.ndarray:
    present = np.zeros((20, 3), bool)
    present[:5, 0] = True
    present[:10, 1] = True
    present[10:13, 2] = True
    return present


def test_a_category_is_counted_and_a_kin_stands_for_one_that_nobody_annotated() -> None:
    found = count_frequencies(made_present(), CATEGORIES, LABELS)
    np.testing.assert_allclose(found.counted[0], [0.5, 1, 0])
    np.testing.assert_allclose(found.counted[1], [0, 0, 0.75])
    np.testing.assert_allclose(found.counted[2], [0.5, 1, 0])
    assert found.kin == {"church/indoor": ("church/outdoor",), "jungle": ("forest",)}
    assert found.photos.tolist() == [10, 4, 10, 0, 0]


def test_without_kin_of_its_surroundings_nothing_is_said() -> None:
    found = count_frequencies(made_present(), CATEGORIES, LABELS)
    for place in (3, 4):
        assert np.isnan(found.counted[place]).all()
        assert np.isnan(found.shrunk[place]).all()
    assert np.isfinite(found.shrunk[:3]).all()


def test_few_photos_are_drawn_further_to_the_mean_than_many_and_stay_frequencies() -> None:
    random = np.random.default_rng(2)
    shares = random.random(60)
    categories, present = [], []
    for place, share in enumerate(shares):
        count = 3 if place % 2 else 60
        categories += [f"c{place:02}"] * count
        present += (random.random((count, 1)) < share).tolist()
    labels = tuple(Label(f"c{place:02}", "") for place in range(60))
    found = count_frequencies(np.array(present), categories, labels)
    mean = np.mean(present)
    kept = (found.shrunk[:, 0] - mean) / (found.counted[:, 0] - mean)
    assert (np.median(kept[1::2]), np.median(kept[::2])) == (pytest.approx(0.6, abs=0.2), pytest.approx(0.97, abs=0.05))
    error = [np.abs(each[1::2, 0] - shares[1::2]).mean() for each in (found.shrunk, found.counted)]
    assert error[0] < error[1]
    assert 0 <= found.shrunk.min() <= found.shrunk.max() <= 1


def test_every_category_of_places100_is_annotated_and_21_of_places365_are_not(shared_data: Path) -> None:
    annotated = read_annotations(shared_data / "sun_attributes")
    apply = Taxonomy.load(None).apply
    small = count_frequencies(annotated.present, annotated.categories, apply(places100()))
    assert small.kin == {}
    assert small.photos.min() >= 19
    large = count_frequencies(annotated.present, annotated.categories, apply(places365()))
    without = {label.id for label in places365()} - set(annotated.categories)
    assert len(without) == 21
    assert large.kin["waterfall"] == tuple(
        f"waterfall/{kind}" for kind in ("block", "cascade", "cataract", "fan", "plunge")
    )
    told = set(large.kin)
    silent = {label.id for label, photos in zip(places365(), large.photos, strict=True) if not photos}
    assert told | silent == without
    assert not told & silent
