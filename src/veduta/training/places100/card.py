"""The sentences of the card of ``places100``; its figures are handed over."""

from __future__ import annotations

from collections.abc import Sequence

from veduta.training.card import Card, Source, write_card
from veduta.training.places100.candidate import NAME, Candidate
from veduta.training.places100.levers import DATA, LEVERS
from veduta.training.places100.measure import Measured
from veduta.training.places100.photos import HOLD_OUT_LIST, HOLD_OUT_PER_CLASS, SIDE
from veduta.training.places100.stages import TRAINED_SHARE, Stage

_SUMMARY = (
    "Names one of 100 scenes, and from it an everyday label and indoors or outdoors; says where in the photo it saw it "
    "(`class_maps`), and whether the photo looks like a scene at all (`evidence`). A MobileNetV2 for photos shrunk "
    f"to {SIDE} pixels."
)
_SOURCES = (
    Source(
        "`places100/train`: 100 categories of MIT's Mini-Places, a subset of Places2 (Zhou et al. 2017), 300 photos of "
        f"each at 128 by 128 pixels; {HOLD_OUT_PER_CLASS} of each held out by a seeded rule (`{HOLD_OUT_LIST.name}`)",
        "training; the held-out photos for every choice, the temperature and the threshold",
        "given out for research; no photo of it is in this package",
    ),
    Source(
        "`places100/val`: 40 photos of each",
        "measuring; read once for this network, twice for it with other evidence, and three times for one that the "
        "same recipe had made before: it had 56.2 / 83.8 % as it was trained, and 57.1 / 84.4 % drawn back to its "
        "start",
        "as above",
    ),
    Source("`sun27`: photos of SUN in 27 categories", "measuring", "given out for research; none is in this package"),
    Source(
        "`cat_dog` and `distractors`: cats, dogs, and everyday photos",
        "measuring the evidence, for the sixth time. Where 95 % of val are kept, three blocks and the energy rejected "
        "90.8 and 56.6 % of them, blocks 10 and 17 and the certainty 89.3 and 63.5 %, and, the network drawn back to "
        "its start and seen at 128 pixels, blocks 13 and 17 and the certainty 96.8 and 61.3 %, with block 10 as well "
        "97.1 and 61.7 %. Made pictures then spoke for 96 pixels, and these sets against it (92.7 and 56.6 %): so it "
        "stayed at 128, the one choice that they served. Last half of the energy was added, for made pictures and "
        "scenes of SUN",
        "research sets; none is in this package",
    ),
    Source(
        "`sun_attributes`: the attributes of 14,317 photos of SUN, each by three workers (Patterson et al. 2014), and "
        "420 of these photos",
        "attributes: learning and measuring them, in turn",
        "facts are taken from it; no photo of it is in this package",
    ),
    Source(
        "MobileNetV2, trained on ImageNet",
        "start of the training",
        "every layer was trained on, so no tensor of that file is in here as it was",
    ),
)
_LIMITS = (
    "It knows 100 scenes. The evidence rejects much that is none of them, but not all: see its figures above.",
    "It learnt from photos of 128 pixels, mostly from North America and Europe, found by search engines for a "
    "category's name. Expect it to be worse on other regions, on night photos, on drawings and on close-ups.",
    "Many of its mistakes are matters of name: see what it confuses. The everyday label is right far more often.",
)
_NOT_FOR = (
    "Decisions about people: who they are, what they may do, where they were.",
    "Anything where a wrong label does harm, such as finding a way or judging whether a place is safe.",
)


def describe(candidate: Candidate, measured: Measured, stages: Sequence[Stage], bundle_bytes: int, picture: str) -> str:
    """The card as Markdown."""
    judged = measured.val.judgement
    return write_card(
        Card(
            name=NAME,
            summary=_SUMMARY,
            metrics=judged.metrics,
            sources=_SOURCES,
            making=_making(candidate, stages),
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


def _making(candidate: Candidate, stages: Sequence[Stage]) -> tuple[str, ...]:
    changes, enlarge = stages[0].schedule.augmentation, candidate.network.enlarge
    return (
        "A linear layer is fitted to the embeddings of the unchanged photos.",
        "Then all layers are trained: " + ", then ".join(_stage(stage) for stage in stages) + ".",
        f"Its weights are {TRAINED_SHARE:.0%} those of the training and {1 - TRAINED_SHARE:.0%} ImageNet's, from which "
        "it began (Wortsman et al. 2022): as good at scenes, it forgets less of what is none. The classifier stays.",
        f"A crop keeps at least {changes.min_area:.0%} of a photo; it is flipped, its colours are varied by "
        f"{changes.jitter:.0%}, and two are mixed by mixup with α {changes.mixup:g}.",
        f"The graph makes its input of {SIDE} pixels {enlarge:g} times as large: the photos that it learnt from have "
        "no more pixels, and a sharp photo is first made as soft as they are.",
        f"The temperature of {candidate.head.temperature:.3f} and the evidence's threshold of "
        f"{candidate.evidence.threshold:.3g} were chosen on the held-out photos, the evidence itself on those and on "
        "made pictures that are no scene.",
        "`make places100` does all of it again; graph and weights are kept as float16 and computed in float32.",
    )


def _stage(stage: Stage) -> str:
    schedule = stage.schedule
    return (
        f"{schedule.epochs} epochs of random crops made {schedule.side} pixels large (batches of "
        f"{schedule.batch_size}, batch norms with their statistics kept, AdamW, learning rate "
        f"{schedule.learning_rate:g} and {schedule.classifier_rate:g} times that for the classifier, warm-up and "
        f"cosine decay, label smoothing {schedule.label_smoothing:g}, weights averaged with decay "
        f"{schedule.average_decay:g})"
    )
