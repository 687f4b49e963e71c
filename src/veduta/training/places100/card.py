"""The sentences of the card of ``places100``; its figures are handed over."""

from __future__ import annotations

from veduta.training.card import Card, Source, write_card
from veduta.training.loop import Schedule
from veduta.training.places100.candidate import NAME, Candidate
from veduta.training.places100.levers import DATA, LEVERS
from veduta.training.places100.measure import Measured
from veduta.training.places100.photos import HOLD_OUT_LIST, HOLD_OUT_PER_CLASS, SIDE

_SUMMARY = (
    "Names one of 100 scenes, and from it an everyday label and indoors or outdoors; says where in the photo it saw it "
    "(`class_maps`), and whether the photo looks like a scene at all (`evidence`). Two small networks side by side, "
    f"MobileNetV2 and SqueezeNet, under one linear layer, for photos shrunk to {SIDE} pixels."
)
_SOURCES = (
    Source(
        "`places100/train`: 100 categories of MIT's Mini-Places, a subset of Places2 (Zhou et al. 2017), 300 photos of "
        f"each at 128 by 128 pixels; {HOLD_OUT_PER_CLASS} of each held out by a seeded rule (`{HOLD_OUT_LIST.name}`)",
        "training; the held-out photos for every choice, the temperature and the threshold",
        "given out for research; no photo of it is in this package",
    ),
    Source("`places100/val`: 40 photos of each", "measuring, once", "as above"),
    Source("`sun27`: photos of SUN in 27 categories", "measuring", "given out for research; none is in this package"),
    Source(
        "`cat_dog` and `distractors`: cats, dogs, and everyday photos",
        "measuring the evidence, once",
        "research sets; none is in this package",
    ),
    Source(
        "MobileNetV2, trained on ImageNet",
        "start of one tower",
        "every layer was trained on, so no tensor of that file is in here as it was",
    ),
    Source(
        "SqueezeNet, trained on Places365",
        "start of the other tower",
        "as above; its 1.8 million photos may hold photos of places100, also of its test (see the limits)",
    ),
)
_LIMITS = (
    "It knows 100 scenes. The evidence rejects much that is none of them, but not all: see its figures above.",
    "It learnt from photos of 128 pixels, mostly from North America and Europe, found by search engines for a "
    "category's name. Expect it to be worse on other regions, on night photos, on drawings and on close-ups.",
    "One tower started from a network that may have seen test photos in its training. That network reaches 39.5 % on "
    "the official validation photos of Places365, far from knowing its training photos by heart, so little of the "
    "figures can come from that; without it, MobileNetV2 alone reached 49.2 / 79.3 %.",
    "Many of its mistakes are matters of name: see what it confuses. The everyday label is right far more often.",
)
_NOT_FOR = (
    "Decisions about people: who they are, what they may do, where they were.",
    "Anything where a wrong label does harm, such as finding a way or judging whether a place is safe.",
)


def describe(candidate: Candidate, measured: Measured, schedule: Schedule, bundle_bytes: int, picture: str) -> str:
    """The card as Markdown."""
    judged = measured.val.judgement
    return write_card(
        Card(
            name=NAME,
            summary=_SUMMARY,
            metrics=judged.metrics,
            sources=_SOURCES,
            making=_making(candidate, schedule),
            limits=_LIMITS,
            not_for=_NOT_FOR,
            judgement=judged,
            coarse=measured.coarse,
            elsewhere=(measured.elsewhere,),
            evidence=measured.evidence,
            levers=LEVERS,
            levers_data=DATA,
            sizes=measured.sizes,
            picture=picture,
            parity=candidate.parity,
            parity_photos=candidate.parity_photos,
            bytes=bundle_bytes,
        )
    )


def _making(candidate: Candidate, schedule: Schedule) -> tuple[str, ...]:
    changes = schedule.augmentation
    return (
        "Both towers are made to vary alike, and a linear layer is fitted to their embeddings of the unchanged photos.",
        f"Then all layers are trained: {schedule.epochs} epochs of crops of {schedule.side} pixels that keep at least "
        f"{changes.min_area:.0%} of a photo, flipped, with colours varied by {changes.jitter:.0%}; "
        f"batch norms with their statistics kept; batches of {schedule.batch_size}, AdamW, learning rate "
        f"{schedule.learning_rate:g} ({schedule.classifier_rate:g} times that for the "
        f"classifier) with warm-up and cosine decay, label smoothing {schedule.label_smoothing:g}, "
        f"weights averaged with decay {schedule.average_decay:g}.",
        f"The graph enlarges its input of {SIDE} pixels by a quarter: the photos that it learnt from have no more "
        "pixels, and a sharp photo is first made as soft as they are.",
        f"The temperature of {candidate.head.temperature:.3f} and the evidence's threshold of "
        f"{candidate.evidence.threshold:.3g} were chosen on the held-out photos, the evidence itself on those and on "
        "made pictures that are no scene.",
        "`make places100` does all of it again; graph and weights are kept as float16 and computed in float32.",
    )
