"""What is settled before the first photo: what to decode, what an answer depends on, how rows are named."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from veduta.errors import UsageError
from veduta.images.decode import DECODER_VERSION, Limits, Thumbnail, Wanted
from veduta.jobs.ledger import fingerprint
from veduta.jobs.rows import SCHEMA_VERSION, Layout, Names, Row, shown_row
from veduta.labels.translations import LANGUAGES, coarse_name, name_of
from veduta.recognition.attributes import TOP_ATTRIBUTES

if TYPE_CHECKING:
    from veduta.recognition.ensemble import Ensemble
    from veduta.recognition.landmarks.recogniser import LandmarkRecogniser
    from veduta.recognition.tagger import Tagger


@dataclass(frozen=True, slots=True)
class Options:
    """How a job works and what it shows.

    ``language`` is that of the names in the rows. ``retry_failed`` decodes again what failed in an earlier run.
    ``embedding`` keeps the first model's embedding; its tagger must have been loaded with it. ``thumbnail`` and
    ``heat_maps`` (of the first model's most probable class) are for a report, and ``kept_thumbnail`` gives the one that
    the report already has of a content, by its digest, so that a photo which the ledger knows is not decoded for it.
    ``landmarks`` tells which landmark each photo shows; the first model's scene has a say in it.
    ``batch`` photos are predicted at once, and at most ``look_ahead`` are in memory.
    """

    language: str = "en"
    retry_failed: bool = False
    embedding: bool = False
    thumbnail: Thumbnail | None = None
    heat_maps: bool = False
    landmarks: LandmarkRecogniser | None = None
    kept_thumbnail: Callable[[str], bytes | None] | None = None
    batch: int = 32
    look_ahead: int = 192

    def __post_init__(self) -> None:
        if self.language not in LANGUAGES:
            raise UsageError(f"There are no names in {self.language!r}; choose one of {', '.join(LANGUAGES)}.")
        if not 1 <= self.batch <= self.look_ahead:
            raise UsageError(
                f"A batch of {self.batch} with {self.look_ahead} photos in memory can't be meant; give 1 or more, and"
                " no batch above what is in memory."
            )


@dataclass(frozen=True, slots=True)
class Plan:
    """The settled facts of one job over photos.

    ``wanted`` goes to the decoder; ``inputs`` tells for each tagger which entry of ``wanted`` is its own, the other
    ``..._input`` which are those. ``answers_as`` and ``fails_as`` are the fingerprints of answers and of failures; a
    failure does not depend on any model.
    """

    taggers: tuple[Tagger, ...]
    options: Options
    layout: Layout
    wanted: tuple[Wanted, ...]
    inputs: tuple[int, ...]
    map_input: int | None
    thumbnail_input: int | None
    landmark_input: int | None
    answers_as: str
    fails_as: str
    ensemble: Ensemble | None
    label_names: dict[tuple[str, str], str] = field(repr=False)
    attribute_names: dict[tuple[str, str], str] = field(repr=False)
    coarse_names: dict[str, str] = field(repr=False)

    def shown(self, stored: Row, path: str, digest: str) -> Row:
        """A stored row with its path, its digest and its names."""
        return shown_row(
            stored,
            path,
            digest,
            self.layout,
            Names(self._label_name, self._attribute_name, self._coarse_name, self.options.language),
        )

    def _label_name(self, model: str, label_id: str) -> str:
        return self.label_names.get((model, label_id), label_id)

    def _attribute_name(self, model: str, attribute_id: str) -> str:
        return self.attribute_names.get((model, attribute_id), attribute_id)

    def _coarse_name(self, coarse_id: str) -> str:
        return self.coarse_names.get(coarse_id, coarse_id)


def make_plan(taggers: Sequence[Tagger], limits: Limits, options: Options) -> Plan:
    """Settle everything.

    Raises UsageError where there is no tagger, or no embedding where one is asked for, and BundleError where the
    weights of several models can't be read.
    """
    if not taggers:
        raise UsageError("There is no model to ask; name at least one.")
    if options.embedding and taggers[0].bundle.embedding is None:
        raise UsageError(f"The model {taggers[0].bundle.name} has no embedding; choose one that has.")
    wanted: list[Wanted] = []
    inputs = tuple(_place(wanted, tagger.preprocessing) for tagger in taggers)
    map_input = None
    if options.heat_maps:
        from veduta.explanation.saliency import map_preprocessing

        map_input = _place(wanted, map_preprocessing(taggers[0].bundle))
    thumbnail_input = None if options.thumbnail is None else _place(wanted, options.thumbnail)
    landmarks = options.landmarks
    landmark_input = None if landmarks is None else _place(wanted, landmarks.preprocessing)
    ensemble = _ensemble(taggers)
    layout = layout_of(taggers, landmarks=landmarks is not None)
    decoding = {
        "decoder": DECODER_VERSION,
        "limits": asdict(limits),
        "schema": SCHEMA_VERSION,
        # A HEIC photo fails without the extra; with it, it must be tried again.
        "heic": importlib.util.find_spec("pillow_heif") is not None,
    }
    answering: dict[str, object] = {"models": [_switches(tagger) for tagger in taggers]}
    if ensemble is not None and ensemble.weighted_on is not None:
        # Left out where each model weighs the same, so that earlier answers stay valid.
        answering["weights"] = ensemble.weights
    if landmarks is not None:
        answering["landmarks"] = landmarks.depends_on
    return Plan(
        taggers=tuple(taggers),
        options=options,
        layout=layout,
        wanted=tuple(wanted),
        inputs=inputs,
        map_input=map_input,
        thumbnail_input=thumbnail_input,
        landmark_input=landmark_input,
        answers_as=fingerprint({**decoding, "heic": None, **answering, "embedding": options.embedding}),
        fails_as=fingerprint(decoding),
        ensemble=ensemble,
        label_names=_label_names(taggers, layout, options.language),
        attribute_names=_attribute_names(taggers, layout),
        coarse_names={
            label.id: coarse_name(label.id, options.language)
            for tagger in taggers
            for label in tagger.coarse_sums.labels
        },
    )


def layout_of(taggers: Sequence[Tagger], *, landmarks: bool = False) -> Layout:
    """The columns of a table of these taggers' answers, with ``landmarks`` where they are asked for."""
    return Layout(
        _model_names(taggers),
        max(tagger.top_k for tagger in taggers),
        any(tagger.tells_attributes for tagger in taggers),
        landmarks,
    )


def _ensemble(taggers: Sequence[Tagger]) -> Ensemble | None:
    """Several models together, with the weights that are on file of them."""
    if len(taggers) < 2:
        return None
    from veduta.recognition.panel import stored_weights, weighted_ensemble

    return weighted_ensemble(taggers, stored_weights)


def _place(wanted: list[Wanted], one: Wanted) -> int:
    """Where ``one`` stands among what is wanted; put there if it is new."""
    if one not in wanted:
        wanted.append(one)
    return wanted.index(one)


def _switches(tagger: Tagger) -> dict[str, object]:
    """All that this tagger's answers depend on, as plain JSON values."""
    coarse = {label.coarse for label in tagger.labels if label.coarse is not None}
    return {
        "name": tagger.bundle.name,
        "bundle_id": tagger.bundle.bundle_id,
        "input": [list(size) for size in tagger.preprocessing.sizes],
        "precision": tagger.session.precision,
        "runtime": tagger.session.runtime,
        "top_k": tagger.top_k,
        "drop": sorted(tagger.drop),
        "coarse": [label.coarse for label in tagger.labels],
        "ancestors": {one: list(tagger.taxonomy.ancestors(one)) for one in sorted(coarse)},
        # Left out where they were not asked for, so that earlier answers stay valid.
        **({"attributes": TOP_ATTRIBUTES} if tagger.attributes else {}),
    }


def _model_names(taggers: Sequence[Tagger]) -> tuple[str, ...]:
    """The bundles' names, with a number behind those that an earlier one has too."""
    names: list[str] = []
    for tagger in taggers:
        name, number = tagger.bundle.name, 1
        while name in names:
            number += 1
            name = f"{tagger.bundle.name}-{number}"
        names.append(name)
    return tuple(names)


def _label_names(taggers: Sequence[Tagger], layout: Layout, language: str) -> dict[tuple[str, str], str]:
    return {
        (model, label.id): name_of(label, language)
        for model, tagger in zip(layout.models, taggers, strict=True)
        for head in tagger.bundle.heads
        for label in head.labels
    }


def _attribute_names(taggers: Sequence[Tagger], layout: Layout) -> dict[tuple[str, str], str]:
    # An attribute may be called as a scene is, and has no name in another language than its model's.
    return {
        (model, label.id): label.name
        for model, tagger in zip(layout.models, taggers, strict=True)
        for labels in (
            *(head.labels for head in tagger.bundle.heads[1:]),
            tagger.bundle.attributes.labels if tagger.bundle.attributes else (),
        )
        for label in labels
    }
