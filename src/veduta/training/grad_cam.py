"""Where in the photo a class comes from, by gradients: the reference that maps made without them are held against.

Grad-CAM (Selvaraju et al. 2017, "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization")
weights each channel k of the last features f by the mean over their N positions p of the gradient of the class's logit
y, and keeps what speaks for the class: ``map_p = ReLU(sum_k a_k f_kp)`` with ``a_k = mean_p(dy / df_kp)``. Whatever
lies between features and logit may be there, as long as it has gradients.

Where nothing but pooling and a linear layer lies there, it is the class map. From ``y = mean_p(sum_k w_k f_kp) + b``
follows ``dy / df_kp = w_k / N`` at each position, so ``a_k = w_k / N`` and ``map_p = ReLU(m_p - b) / N``, where
``m_p = sum_k w_k f_kp + b`` is the class map: the same without its bias, up to the factor 1 / N. Where the classifier
is rectified, ``y = mean_p(ReLU(m_p))``, gradients come from the positions with ``m_p > 0`` alone, say A of them, and
``map_p = ReLU(m_p - b) A / N²``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from veduta.explanation.saliency import Method, explained_head, network_weights
from veduta.models.bundle import Bundle
from veduta.training.checkpoints import fit_weights, read_checkpoint
from veduta.training.layouts import has_published_head
from veduta.training.networks import SceneNetwork, build, find_architecture
from veduta.training.normalise import Normalise


class GradCam:
    """The Grad-CAM maps of a bundle's first head, from the weights beside its graph: a ``MapMaker``.

    ``veduta.explain(tagger, photo, label, method=GradCam(tagger.bundle))`` shows one; for many photos keep the maker,
    for it holds the network. Torch computes in float32, whatever the tagger's precision is. ``threads`` is how many
    cores torch uses from then on, in all of the process.

    Raises UsageError for a bundle without weights, BundleIncompatible without a head, WeightsError where the weights
    are not of its architecture, TrainingError for an architecture that is not known.
    """

    method: Method = "grad-cam"

    def __init__(self, bundle: Bundle, threads: int | None = None) -> None:
        architecture, weights = network_weights(bundle)
        if threads is not None:
            torch.set_num_threads(threads)
        self.bundle_id = bundle.bundle_id
        wanted = find_architecture(architecture)
        tensors = read_checkpoint(weights)
        classes, published_head = len(explained_head(bundle).labels), has_published_head(tensors, wanted)
        self._network = build(architecture, classes, published_head=published_head)
        fit_weights(self._network, tensors, weights, classifier="keep")

    def maps(self, pixels: NDArray[np.uint8], label_indices: Sequence[int]) -> NDArray[np.float64]:
        """One map for each photo of uint8 ``[n, h, w, 3]`` and its class: ``[n, h', w']``, not negative."""
        return grad_cam(self._network, pixels, label_indices)


def grad_cam(network: SceneNetwork, pixels: NDArray[np.uint8], label_indices: Sequence[int]) -> NDArray[np.float64]:
    """The maps ``[n, h', w']`` of photos uint8 ``[n, h, w, 3]``, each for its class; puts the network in eval mode.

    No map is negative; one is 0 everywhere where all of the photo speaks against the class. The features alone are
    differentiated, not the layers before them, so a map takes little more than the forward pass.
    """
    network.eval()
    with torch.no_grad():
        features = network.features(Normalise(network.enlarge)(torch.tensor(pixels)))
    with torch.enable_grad():
        logits = network.logits(features.requires_grad_())
        explained = logits[torch.arange(len(logits)), torch.tensor(label_indices)]
        (gradients,) = torch.autograd.grad(explained.sum(), features)
    maps = (gradients.mean((2, 3), keepdim=True) * features.detach()).sum(1).relu()
    return np.asarray(maps.numpy(), dtype=np.float64)
