"""What was tried for ``places100`` and what it brought on the held-out photos, failures included."""

from __future__ import annotations

from veduta.training.card import Lever

DATA = "the 1,500 held-out photos of places100/train (15 a class; ± 2.5 points at 95 %)"

LEVERS = (
    Lever(
        "plain fine-tuning",
        "MobileNetV2, fresh classifier, SGD 0.01, 3 epochs at 112 px",
        0.408,
        None,
        "channels with next to no variance make the gradients behind their batch norms explode; AdamW bounds the steps",
    ),
    Lever("frozen features", "MobileNetV2 (ImageNet) at 128 px, linear layer", 0.457, 0.761, "decay 0.01 was best"),
    Lever("a network that saw places", "SqueezeNet (Places365) at 128 px, frozen", 0.446, 0.750, "a tenth of the size"),
    Lever("enlarged input", "the same at 192 px from the same 128-pixel photos", 0.462, 0.781, "+1.6 / +3.1 points"),
    Lever("its 365 categories", "linear layer on SqueezeNet's logits at 192 px", 0.460, 0.775, "no better"),
    Lever("side by side", "MobileNetV2 at 128, SqueezeNet at 192 px, frozen", 0.503, 0.791, "+4 points over either"),
    Lever("and the 365 logits", "all three", 0.495, 0.791, "brings nothing more"),
    Lever("two towers, one size", "both at 160 px, frozen", 0.500, 0.795, "the start of all that follows"),
    Lever("the first model", "MobileNetV2 alone, fitted classifier, 2 epochs at 112 px, AdamW 1e-4", 0.487, 0.799, ""),
    Lever(
        "low rate, batch norms at rest",
        "two towers, 3 epochs of 128-px crops, AdamW 1e-4, mixup 0.2, seen at 160 px",
        0.516,
        0.819,
        "the last epoch brought nothing",
    ),
    Lever(
        "higher rate, batch norms at work",
        "two towers, AdamW 3e-4, the first of 4 epochs, mixup 0.2, seen at 160 px",
        0.475,
        0.781,
        "below its start; stopped there",
    ),
    Lever(
        "changed less",
        "two towers, AdamW 1e-4, the first of 2 epochs, crops of half a photo or more, no mixup, batch norms at rest",
        0.503,
        0.813,
        "as good as the first epoch with mixup (50.2 / 80.7), with more top-5",
    ),
    Lever("seen smaller", "the network of rate 1e-4 at 128 px", 0.508, 0.803, "faster, a point less"),
    Lever("seen larger", "the network of rate 1e-4 at 192 px", 0.513, 0.810, "larger than the crops it learnt from"),
)
