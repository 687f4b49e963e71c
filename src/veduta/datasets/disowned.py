"""Photos that the other photos of their class disown: they are of another class, or of nothing that was asked for.

Two questions, each answered for a photo by others alone. A classifier that did not learn from it calls it something
else: these mistakes are told from doubts by confident learning (Northcutt, Jiang and Chuang 2021, "Confident Learning:
Estimating Uncertainty in Dataset Labels"; cleanlab). And its embedding lies far from its class: by the Mahalanobis
distance to the mean, with one covariance for all classes (Lee et al. 2018), fitted to the other parts without the tenth
that lies farthest, for what does not belong would widen it.

The extra ``classify`` brings what is needed.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from veduta.errors import MissingExtra

#: A photo this far out, in robust deviations of the logarithm of the distance, is of something else. With what the
#: classifiers say, asked twice, 65 % of 60 rooms and landscapes among cats and dogs were found so, 96 % of 126 wrong
#: animals, and 2.0 % of 1,390 good photos lost; at 2.5 it was 80 %, 97 % and 2.5 %.
FAR = 3.0

#: Fewer photos than this say little of how far their class reaches.
FEWEST = 40

_PARTS, _DIRECTIONS = 5, 200
_ROUNDS, _TRUSTED = 2, 0.9
# From the median absolute deviation to the standard deviation of a normal distribution.
_NORMAL = 1.4826


def find_disowned(
    probabilities: NDArray[np.floating],
    embeddings: NDArray[np.floating],
    targets: NDArray[np.int64],
    labels: Sequence[str],
    *,
    seed: int = 0,
) -> dict[int, str]:
    """Which of n photos are disowned, and why.

    ``probabilities`` ``[n, c]`` are of classifiers that did not learn from the photo, ``embeddings`` ``[n, d]`` tell
    how alike photos are, ``targets`` ``[n]`` what they were found as, ``labels`` the names of the c classes.
    Raises MissingExtra.
    """
    reasons: dict[int, str] = {}
    for place in np.flatnonzero(mislabelled(probabilities, targets)):
        said = int(probabilities[place].argmax())
        share = f"{probabilities[place, said]:.0%}"
        reasons[int(place)] = f"disowned: the other photos call it {labels[said]} ({share})"
    distance = farness(embeddings, targets, np.isin(np.arange(len(targets)), list(reasons)), seed=seed)
    for place in np.flatnonzero(distance > FAR):
        reasons.setdefault(int(place), f"disowned: unlike the other photos of {labels[targets[place]]}")
    return reasons


def mislabelled(probabilities: NDArray[np.floating], targets: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which photos ``[n]`` carry a wrong label, by their class's probability among those of the other photos.

    A mistake counts where both ways of pruning of confident learning take it: by class, and by pairs of classes.
    """
    try:
        from cleanlab.filter import find_label_issues
    except ModuleNotFoundError as error:
        raise _missing("cleanlab") from error
    scaled = probabilities.astype(np.float64)
    scaled /= scaled.sum(axis=1, keepdims=True)
    # Workers would be forks, of a process that has threads.
    found: NDArray[np.bool_] = find_label_issues(targets, scaled, filter_by="both", n_jobs=1)
    return found


def farness(
    embeddings: NDArray[np.floating], targets: NDArray[np.int64], wrong: NDArray[np.bool_], *, seed: int = 0
) -> NDArray[np.float64]:
    """How far ``[n]`` each photo lies from its class, in robust deviations of all; those that are ``wrong`` teach
    nothing. 0 for all where there are too few photos to tell.
    """
    count = len(targets)
    if count - int(wrong.sum()) < FEWEST:
        return np.zeros(count)
    part = np.random.default_rng(seed).permutation(count) % _PARTS
    distance = np.zeros(count)
    for each in range(_PARTS):
        trusted = (part != each) & ~wrong
        for _ in range(_ROUNDS):
            so_far = _distances(embeddings, targets, trusted)
            trusted &= so_far <= np.quantile(so_far[trusted], _TRUSTED)
        inside = part == each
        distance[inside] = _distances(embeddings, targets, trusted)[inside]
    logarithm = np.log(np.maximum(distance, 1e-12))
    middle = np.median(logarithm[~wrong])
    spread = _NORMAL * float(np.median(np.abs(logarithm[~wrong] - middle)))
    far: NDArray[np.float64] = (logarithm - middle) / max(spread, 1e-6)
    return far


def _distances(
    embeddings: NDArray[np.floating], targets: NDArray[np.int64], trusted: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Squared Mahalanobis distances ``[n]`` to the mean of the class, learnt from those that are trusted."""
    try:
        from sklearn.covariance import LedoitWolf
        from sklearn.decomposition import PCA
    except ModuleNotFoundError as error:
        raise _missing("scikit-learn") from error
    values = embeddings.astype(np.float64)
    values = (values - values[trusted].mean(axis=0)) / max(float(values[trusted].std(axis=0).mean()), 1e-12)
    directions = min(_DIRECTIONS, int(trusted.sum()) - 1, values.shape[1])
    values = PCA(directions, random_state=0).fit(values[trusted]).transform(values)
    everyone = values[trusted].mean(axis=0)
    means = np.stack(
        [values[trusted & (targets == each)].mean(axis=0) if (trusted & (targets == each)).any() else everyone
         for each in range(int(targets.max()) + 1)]
    )  # fmt: skip
    within = values - means[targets]
    found: NDArray[np.float64] = LedoitWolf(assume_centered=True).fit(within[trusted]).mahalanobis(within)
    return found


def _missing(package: str) -> MissingExtra:
    return MissingExtra(f'finding wrong photos needs {package}; install it with: pip install "veduta[classify]"')
