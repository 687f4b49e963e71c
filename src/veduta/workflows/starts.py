"""What the trainings of a comparison start from: found and checked before the first of them, made ready for each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from veduta.errors import BundleError, BundleNotFound, MissingExtra, TrainingError, UsageError
from veduta.models.bundle import Bundle, write_bundle
from veduta.models.store import find
from veduta.workflows.grid import Grid


@dataclass(frozen=True, slots=True)
class Start:
    """The weights of an architecture: what ``load_weights`` takes, the SHA-256 of their file, and the model where the
    source is one. A model that is only learnt behind needs no such file.
    """

    source: str
    sha256: str | None
    model: Bundle | None = None

    def identity(self, recipe: str) -> str:
        """What a training by this recipe depends on."""
        identity = self.sha256 if self.model is None or recipe != "transfer" else self.model.embedding_id
        assert identity is not None
        return identity


def find_starts(grid: Grid) -> dict[str, Start]:
    """The start of each architecture that has one; published weights are downloaded.

    Raises MissingExtra where a training needs torch and it is not there, TrainingError for an architecture that is not
    known or a size that none takes, UsageError where a recipe lacks weights and for a model without an embedding or of
    another architecture, and what ``load_weights`` raises where weights can't be read or do not fit.
    """
    models = {name: _model(source) for name, source in grid.weights.items()}
    recipes = {name: {cell.recipe for cell in grid.cells if cell.architecture == name} for name in grid.architectures}
    needs_torch = any(recipes[name] != {"transfer"} or models.get(name) is None for name in grid.architectures)
    _check_extras({recipe for each in recipes.values() for recipe in each}, needs_torch)
    if needs_torch:
        _check_networks(grid)
    _check_weights(grid)
    return {
        name: _start(name, source, models[name], recipes[name])
        for name, source in grid.weights.items()
        if recipes[name] != {"scratch"}
    }


def backbone_for(architecture: str, size: int, start: Start, folder: Path, on_stage: Callable[[str], None]) -> Bundle:
    """The model whose embedding of photos of ``size`` pixels ``transfer`` learns behind.

    It is the model of the start where that looks at so many pixels; else one is made in ``folder``, once.
    Raises OutputError, and what ``write_backbone`` raises.
    """
    model = start.model
    if model is not None and min(model.preprocessing.sizes[0]) == size:
        return model
    out = folder / f"{architecture}-{size}-{start.identity('transfer')[:8]}"
    try:
        return Bundle.load(out)
    except BundleError:
        pass  # not made yet, or damaged
    if model is None:
        from veduta.training.backbone import write_backbone

        return write_backbone(architecture, start.source, size, out, on_stage=on_stage)
    return write_bundle(
        out,
        name=model.name,
        kind="embedding",
        graph=model.graph,
        preprocessing=model.preprocessing.resized(size),
        heads=[],
        card=f"# {model.name} at {size} pixels\n\nThe graph of `{model.bundle_id}`, for its embedding alone.\n",
        embedding=model.embedding,
        architecture=model.architecture,
        license=model.license,
        replace=True,
    )


def _model(source: str) -> Bundle | None:
    """The model that a source names, None where it is a file of weights or published ones."""
    try:
        folder = find(source)
    except BundleNotFound:
        return None
    return Bundle.load(folder)


def _check_extras(recipes: set[str], needs_torch: bool) -> None:
    if "transfer" in recipes:
        with _extra("learn"):
            import veduta.training.transfer
    if needs_torch:
        with _extra("train", "; without it only transfer behind models can be compared: --weights ARCHITECTURE=MODEL"):
            import veduta.training.recipes  # noqa: F401
            from veduta.training.execution import share_of_this_process
        if share_of_this_process().processes > 1:
            raise UsageError("a comparison is one process, for its trainings are timed; start it without torchrun.")


@contextmanager
def _extra(name: str, more: str = "") -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        raise MissingExtra(
            f'comparing trainings needs {error.name}; install it with: pip install "veduta[{name}]"{more}'
        ) from error


def _check_networks(grid: Grid) -> None:
    from veduta.training.networks import find_architecture

    chosen = [find_architecture(name) for name in grid.architectures]
    for size in grid.sizes:
        refused = []
        for each in chosen:
            try:
                each.check_side(size)
            except TrainingError as error:
                refused.append(error)
        if len(refused) == len(chosen):
            raise refused[0]


def _check_weights(grid: Grid) -> None:
    for cell in grid.cells:
        name = cell.architecture
        if cell.recipe != "scratch" and name not in grid.weights:
            raise UsageError(
                f"{name} has no weights for {cell.recipe}; give --weights {name}=SOURCE (a weights file, a model or "
                f"hub), or train it from fresh ones: --recipe {name}=scratch."
            )


def _start(name: str, source: str, model: Bundle | None, recipes: set[str]) -> Start:
    if model is not None and model.architecture not in (None, name):
        raise UsageError(
            f"--weights {name}={source}: that model is a {model.architecture}, not a {name}; name another."
        )
    if model is not None and model.embedding is None:
        raise UsageError(f"--weights {name}={source}: that model gives no embedding to learn from; name another.")
    if model is not None and "finetune" not in recipes:
        return Start(source, None, model)
    from veduta.training.checkpoints import load_weights
    from veduta.training.networks import build

    origin = load_weights(build(name, 2), source)
    assert origin is not None
    return Start(source, origin.sha256, model)
