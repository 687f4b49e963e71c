from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("sklearn", reason="the extra learn is not installed")

from veduta.errors import UsageError
from veduta.training.linear import fit_linear, learn


def clouds(count: int = 120, classes: int = 3, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Embeddings ``[n, 1, 8]`` of classes around centres of their own, in units that nobody chose."""
    random = np.random.default_rng(seed)
    targets = np.arange(count) % classes
    values = 3 * np.eye(classes, 8)[targets] + random.normal(size=(count, 8))
    return (values * 250).astype(np.float32)[:, None], targets


def test_classes_that_lie_apart_are_told_and_held_out_answers_say_so() -> None:
    embeddings, targets = clouds()
    learnt = learn(embeddings, targets)
    assert (learnt.classifier(embeddings[:, 0]).argmax(1) == targets).mean() > 0.9
    assert 0.8 < (learnt.logits.argmax(1) == targets).mean() < 1
    assert learnt.views == 0


def test_answers_of_held_out_photos_come_from_classifiers_that_did_not_see_them() -> None:
    random = np.random.default_rng(1)
    noise, targets = random.normal(size=(90, 1, 60)).astype(np.float32), np.arange(90) % 3
    learnt = learn(noise, targets)
    seen = fit_linear(noise, targets, 1.0)(noise[:, 0]).argmax(1)
    assert (seen == targets).mean() > 0.9
    assert (learnt.logits.argmax(1) == targets).mean() < 0.6


def test_two_classes_and_many_labels_give_logits_as_softmax_and_sigmoid_want_them() -> None:
    embeddings, targets = clouds(classes=2)
    two = fit_linear(embeddings, targets, 0.1)
    assert two.weight.shape == (2, 8)
    np.testing.assert_allclose(two.weight[0], -two.weight[1], rtol=1e-5)
    many = np.stack([targets == 0, targets == 1, np.arange(120) % 5 == 0], axis=1).astype(np.float32)
    logits = fit_linear(embeddings, many, 0.1)(embeddings[:, 0])
    assert logits.shape == (120, 3)
    np.testing.assert_allclose(logits[:, 1], np.diff(two(embeddings[:, 0]))[:, 0], rtol=0.05, atol=0.2)


def test_views_that_are_the_photo_itself_change_nothing() -> None:
    embeddings, targets = clouds()
    once, thrice = fit_linear(embeddings, targets, 0.03), fit_linear(np.repeat(embeddings, 3, axis=1), targets, 0.03)
    np.testing.assert_allclose(thrice(embeddings[:, 0]), once(embeddings[:, 0]), atol=0.05)


def test_the_same_seed_gives_the_same_classifier() -> None:
    embeddings, targets = clouds()
    one, again = learn(embeddings, targets, seed=4), learn(embeddings, targets, seed=4)
    np.testing.assert_array_equal(one.classifier.weight, again.classifier.weight)
    np.testing.assert_array_equal(one.logits, again.logits)


def test_too_few_photos_for_so_many_parts_are_refused() -> None:
    embeddings, targets = clouds(3)
    with pytest.raises(UsageError, match="too few"):
        learn(embeddings, targets)


def test_pictures_besides_are_learnt_from_and_never_judged() -> None:
    embeddings, targets = clouds(60)
    wrong = np.concatenate([np.zeros(60, bool), np.ones(30, bool)])
    more, theirs = clouds(30, seed=3)
    both = np.concatenate([embeddings, more]), np.concatenate([targets, (theirs + 1) % 3])
    learnt = learn(*both, besides=wrong)
    assert learnt.logits.shape == (60, 3)
    assert np.array_equal(learnt.targets, targets)
    alone = learn(embeddings, targets)
    # Labels that are wrong on purpose are believed: they change the answers to the others.
    assert not np.allclose(learnt.logits, alone.logits)
    assert not np.allclose(learnt.classifier.weight, alone.classifier.weight)
