"""The labels of a model in its ``model.json``: read, and written."""

from __future__ import annotations

from typing import Any, cast

from veduta.models.json_reader import JsonObject
from veduta.records import EnvironmentKind, Label

MAX_LABELS = 100_000


def read_labels(entry: JsonObject) -> tuple[Label, ...]:
    """Those of ``entry``, each id once. Raises ``BundleCorrupt``, naming the key."""
    labels, seen = [], set()
    for each in entry.entries("labels", MAX_LABELS):
        each.only("id", "name", "environment", "coarse")
        environment = each.choice("environment", ("indoor", "outdoor")) if each.has("environment") else None
        coarse = each.text("coarse") if each.has("coarse") else None
        label = Label(each.text("id"), each.text("name"), cast("EnvironmentKind | None", environment), coarse)
        if label.id in seen:
            each.refuse("id", "must be the id of one label only, it is there twice", label.id)
        seen.add(label.id)
        labels.append(label)
    if not labels:
        entry.refuse("labels", "must name at least one label")
    return tuple(labels)


def label_values(labels: tuple[Label, ...]) -> list[dict[str, Any]]:
    """As JSON values; what a label does not tell is left out."""
    told = [
        {"id": label.id, "name": label.name, "environment": label.environment, "coarse": label.coarse}
        for label in labels
    ]
    return [{key: value for key, value in each.items() if value is not None} for each in told]
