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
        "two towers, 2 epochs, AdamW 1e-4, crops of half a photo or more, no mixup, batch norms at rest",
        0.510,
        0.817,
        "it learns the training photos sooner (58 % of them), no others",
    ),
    Lever(
        "trained apart",
        "the first model and frozen SqueezeNet at 192 px, mean of their log-probabilities",
        0.523,
        0.821,
        "better than both trained as one: under one loss each learns only what the other leaves",
    ),
    Lever("seen smaller", "the two towers of 3 epochs at 128 px", 0.508, 0.803, "faster, a point less"),
    Lever("seen larger", "the two towers of 3 epochs at 192 px", 0.513, 0.810, "larger than the crops it learnt from"),
    Lever(
        "higher rate, larger crops, more epochs",
        "MobileNetV2 alone, 7 epochs of 160-px crops of a third of a photo or more, AdamW 2e-4, mixup 0.2",
        0.537,
        0.817,
        "seen at 160 px; one network now beats the two",
    ),
    Lever("seen at 192", "the same network", 0.547, 0.831, "larger than its crops"),
    Lever("seen at 224", "the same network", 0.550, 0.833, ""),
    Lever("seen at 128", "the same network", 0.476, 0.781, "so size is not to be saved on"),
    Lever(
        "mirror images",
        "its fifth epoch at 160 px, mean of a photo's and its mirror image's logits",
        0.542,
        0.823,
        "from 53.0 / 81.8, for twice the time; not used",
    ),
    Lever(
        "SqueezeNet trained alike",
        "SqueezeNet (Places365) alone, 6 epochs as above",
        0.457,
        0.762,
        "from 44.6 / 75.4: it learns not even its training photos (39 %)",
    ),
    Lever(
        "both, trained apart",
        "seven parts MobileNetV2, three parts SqueezeNet, at 192 px",
        0.547,
        0.831,
        "nothing more than MobileNetV2 alone, so SqueezeNet was given up",
    ),
    Lever(
        "larger crops at the end",
        "the same network, 3 more epochs of 192-px crops, AdamW 1e-4, seen at 224 px",
        0.553,
        0.834,
        "epoch by epoch 54.5 / 82.4, 55.5 / 83.1, 55.3 / 83.4 while its training top-1 rises from 58 to 64 %: more "
        "epochs now learn the training photos, not the others",
    ),
    Lever("the same at 192", "seen at 192 px", 0.545, 0.827, "its second epoch, as the next three"),
    Lever("the same at 256", "seen at 256 px", 0.550, 0.831, "nothing more to see in 128 pixels"),
    Lever("the same at 160", "seen at 160 px", 0.523, 0.808, ""),
    Lever(
        "drawn back to its start",
        "a fifth of the way to ImageNet's weights (Wortsman et al. 2022), seen at 224 px",
        0.556,
        0.832,
        "cross-entropy 1.767, from 1.775; for the evidence's sake, which it costs nothing",
    ),
    Lever("drawn back further", "two fifths of the way", 0.544, 0.826, "cross-entropy 1.807"),
    Lever("mirror images again", "seen at 224 px, mean of a photo's and its mirror image's logits", 0.560, 0.832, ""),
)
