"""The card of a bundled model: what it is, from what, how good, and what it is not for."""

from __future__ import annotations

from dataclasses import dataclass

from veduta.models.bundle import Metric
from veduta.training.loop import Schedule

_WORDS = {
    "top1": "top-1 accuracy",
    "top5": "top-5 accuracy",
    "environment_by_probability": "indoor/outdoor right, by probability",
    "environment_by_vote": "indoor/outdoor right, by the vote of ten",
    "expected_calibration_error": "expected calibration error",
}


@dataclass(frozen=True, slots=True)
class Card:
    """What a card tells beyond its fixed text."""

    name: str
    schedule: Schedule
    temperature: float
    parity: float
    parity_photos: int
    metrics: tuple[Metric, ...]


def write_card(card: Card) -> str:
    """The card as Markdown."""
    schedule = card.schedule
    rows = "\n".join(_row(metric) for metric in card.metrics)
    return f"""# {card.name}

Names one of 100 scenes, and from it an everyday label and indoors or outdoors. A MobileNetV2 with one linear layer,
for photos of 128 by 128 pixels; its `class_maps` show where in the photo a scene was seen.

## Figures

| figure | value | 95 % interval | measured on | photos |
|---|---|---|---|---|
{rows}

The graph's logits are within {card.parity:.0e} of torch's on {card.parity_photos} held-out photos, with the same first
label on all.

## How it was made

- Data: `places100/train`, the 100 categories of MIT's Mini-Places, a subset of Places2 (Zhou et al. 2017): 300 photos
  of each at 128 by 128 pixels. 15 of each were held out by a seeded rule (`places100_holdout.txt`); the temperature of
  {card.temperature:.3f} was fitted on them. Places2 is given out for research; no photo of it is in this package.
- Start: MobileNetV2 weights trained on ImageNet. Every layer was trained on, so no tensor of that file is in here as it
  was.
- Training: the classifier is fitted to the ImageNet features first; then all layers are trained, {schedule.epochs}
  epochs at {schedule.side} pixels, batches of {schedule.batch_size}, AdamW, learning rate {schedule.learning_rate:g}
  ({schedule.classifier_rate:g} times that for the classifier) with warm-up and cosine decay, batch norms with their
  statistics kept, label smoothing {schedule.label_smoothing:g}, random crops, flips and colour jitter, weights averaged
  with decay {schedule.average_decay:g}.
- The batch norms were then given the statistics of the training photos, without changing any answer.
- `make places100` does all of it again; graph and weights are kept as float16 and computed in float32.

## Limits

- It knows 100 scenes. A photo of anything else, a portrait, a cat, a document, gets one of these labels too, often with
  a low probability; this model has no output that says "nothing fits".
- It learnt from photos of 128 pixels, mostly from North America and Europe, found by search engines for a category's
  name. Expect it to be worse on other regions, on night photos, on drawings and on close-ups.
- Neighbouring categories are confused often: living room and lobby, river and swamp, abbey and church.
- Do not use it to decide about people, or where a wrong label does harm.
"""


def _row(metric: Metric) -> str:
    interval = f"{metric.interval[0]:.1%} – {metric.interval[1]:.1%}" if metric.interval else ""
    value = f"{metric.value:.3f}" if metric.name == "expected_calibration_error" else f"{metric.value:.1%}"
    return f"| {_WORDS[metric.name]} | {value} | {interval} | {metric.data} | {metric.count:,} |"
