"""The attributes of ``places100``: learnt from the annotations of SUN, judged, and put into the bundle.

``veduta recipe attributes`` does it for a bundle that is there; graph, labels and weights stay as they are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from veduta.datasets.folders import photos_in
from veduta.datasets.sun_attribute_table import read_annotations
from veduta.errors import UsageError
from veduta.labels.attributes import sun_attributes
from veduta.labels.taxonomy import Taxonomy
from veduta.models.attribute_table import AttributeTable
from veduta.models.bundle import ATTRIBUTES, CARD, Bundle, write_bundle
from veduta.models.session import Session
from veduta.recognition.tagger import Tagger
from veduta.training.embeddings import embed_views
from veduta.training.places100.attribute_figures import AttributeFigures, figures_of
from veduta.training.places100.attribute_model import Annotated, AttributeModel, Choice, Scenes
from veduta.training.places100.photos import HOLD_OUT_LIST, class_folders

#: Every so many-th training photo tells how photos of its category look.
EVERY = 3

_HEADING = "## Attributes"


def read_model(
    bundle: Bundle,
    data: Path,
    *,
    every: int = EVERY,
    cache: Path | None = None,
    on_photo: Callable[[int, int], None] = lambda _done, _all: None,
) -> AttributeModel:
    """All that attributes are learnt from, for a bundle whose scenes are those of places100.

    ``data`` holds ``places100/train``, ``labels`` and ``sun_attributes``; ``cache`` keeps the embeddings.
    Raises UsageError where they are not as they should be.
    """
    annotated = read_annotations(data / "sun_attributes")
    if not annotated.files:
        raise UsageError(f"{data / 'sun_attributes'} has no photos.csv: attributes are learnt from photos as well.")
    paths, targets = _training_photos(data, every)
    embedded = embed_views(paths, bundle, bundle.preprocessing, views=0, cache=cache, on_photo=on_photo)
    scenes = Scenes(embedded.values[:, 0], targets[embedded.kept], len(bundle.heads[0].labels))
    taxonomy = Taxonomy.load(None)
    tagger = Tagger(bundle, Session(bundle.graph), taxonomy=taxonomy, embedding=True)
    said = [tagger.predict(file) for file in annotated.files.values()]
    embeddings, scene = (
        np.stack([values for values in each if values is not None])
        for each in ([each.embedding for each in said], [each.probabilities for each in said])
    )
    return AttributeModel(
        scenes,
        Annotated(annotated.present, annotated.categories, np.array([*annotated.files]), embeddings, scene),
        tagger.labels,
    )


def _training_photos(data: Path, every: int) -> tuple[list[str], NDArray[np.int64]]:
    """Every so many-th photo of each category that the network was trained on, and the category's place."""
    held_out = set(HOLD_OUT_LIST.read_text(encoding="utf-8").split("\n"))
    paths: list[str] = []
    targets: list[int] = []
    for place, name in enumerate(class_folders(data)):
        folder = data / "places100" / "train" / name
        there = [sample.path for sample in photos_in(folder)]
        learnt = [path for path in there if f"{name}/{Path(path).name}" not in held_out]
        if not learnt:
            raise UsageError(f"{folder} holds no photo; give the folder that holds places100/ and labels/ with --data.")
        paths += learnt[::every]
        targets += [place] * len(learnt[::every])
    return paths, np.array(targets)


def add_attributes(
    folder: Path,
    data: Path,
    *,
    note: Callable[[str], None] = lambda _words: None,
    on_photo: Callable[[int, int], None] = lambda _done, _all: None,
) -> Bundle:
    """Learn the attributes for the places100 bundle in ``folder``, judge them, and write it again with them.

    Raises UsageError and what ``Bundle.load`` and ``write_bundle`` raise.
    """
    bundle = Bundle.load(folder)
    card = (folder / CARD).read_text(encoding="utf-8")
    note("embedding the training photos")
    model = read_model(bundle, data, on_photo=on_photo)
    note("choosing and fitting")
    table, choice = model.fit(sun_attributes())
    figures = []
    for by_category in (False, True):
        note(f"judging, {'categories' if by_category else 'photos'} held out")
        figures.append(figures_of(model.judge(by_category), model.annotated, by_category))
    metrics = tuple(metric for each in figures for metric in each.metrics)
    kept = tuple(each for each in bundle.metrics if each.name not in {metric.name for metric in metrics})
    size = sum(file.stat().st_size for file in folder.iterdir() if file.name != ATTRIBUTES) + 2 * sum(
        each.size for each in (table.frequencies, table.weight, table.constant)
    )
    return write_bundle(
        folder,
        name=bundle.name,
        kind=bundle.kind,
        graph=bundle.graph,
        preprocessing=bundle.preprocessing,
        heads=bundle.heads,
        card=_with_section(card, attribute_section(table, choice, figures), size),
        embedding=bundle.embedding,
        evidence=bundle.evidence,
        attributes=table,
        metrics=(*kept, *metrics),
        architecture=bundle.architecture,
        weights=bundle.weights,
        license=bundle.license,
        replace=True,
    )


def attribute_section(table: AttributeTable, choice: Choice, figures: Sequence[AttributeFigures]) -> str:
    """What the card says of attributes."""
    spec, first = table.spec, figures[0]
    by_scene = [label.name for label, source in zip(spec.labels, spec.sources, strict=True) if source == "scene"]
    return "\n".join(
        [
            _HEADING,
            "",
            f"`{ATTRIBUTES}` tells the {len(spec.labels)} attributes of the SUN Attribute database (Patterson et al. "
            "2014), by how often annotated photos of each scene have them and by the photo's own embedding. Mean "
            f"average precision over the {first.attributes} attributes that ten or more of {first.photos} photos have; "
            "what answered for a photo had not seen it, nor had any choice:",
            "",
            "| held out | compared | frequencies | model | gain | 95 % interval | calibration error |",
            "| --- | --- | ---: | ---: | ---: | ---: | ---: |",
            *(row for each in figures for row in _rows(each)),
            "",
            "A photo that is held out by itself shows a category that others show as well. Where all photos of a "
            "category are held out, none does; each fold is then answered by another model, and what one knows to be "
            "frequent another may not, so that the figure within folds tells more. In learning, an annotated photo "
            f"weighs as much as {choice.weight:g} whose category alone is known, and {choice.share:.0%} of an answer "
            "are the photo's own. Told by the frequencies alone, since no photo shows them: "
            f"{', '.join(by_scene) or 'none'}.",
        ]
    )


def _rows(figures: AttributeFigures) -> Iterator[str]:
    held_out = "all of a category" if figures.by_category else "each photo"
    for over, compared in (("over all photos", figures.precision), ("within each fold", figures.within)):
        low, high = compared.gain_interval
        error = f"{figures.calibration.value:.3f}" if compared is figures.precision else ""
        yield (
            f"| {held_out} | {over} | {compared.frequencies:.3f} | {compared.model:.3f} | {compared.gain:+.3f} | "
            f"{low:+.3f} – {high:+.3f} | {error} |"
        )


def _with_section(card: str, section: str, size: int) -> str:
    """The card with this section in place of an earlier one, before those on what it was made from and how."""
    card = re.sub(r"All files together take [\d.]+ MB", f"All files together take {size / 1e6:.1f} MB", card)
    without = re.sub(rf"{_HEADING}\n.*?(?=^## )", "", card, flags=re.DOTALL | re.MULTILINE)
    before, heading, after = without.partition("## From what it was made")
    return f"{before}{section}\n\n{heading}{after}" if heading else f"{without.rstrip()}\n\n{section}\n"
