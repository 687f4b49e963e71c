"""Weights from elsewhere: read without running anything in them, fitted to a network without leaving a tensor out.

A torch file is a pickle, that is, a program. It is opened by torch's restricted reader alone (``weights_only``), which
makes tensors, numbers and containers and calls nothing else; what that refuses is refused here.
"""

from __future__ import annotations

import math
import re
import warnings
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from veduta.errors import BundleNotFound, UsageError, WeightsError
from veduta.images.limits import printable
from veduta.models.bundle import Bundle
from veduta.models.store import find
from veduta.training.architectures import Architecture, find_architecture, same_family
from veduta.training.downloads import sha256_of
from veduta.training.layouts import Fitted, expected_shapes, fit, guess
from veduta.training.networks import SceneNetwork

if TYPE_CHECKING:
    from veduta.images.fetch import Fetcher

#: The largest file that is opened; VGG-19, the largest network here, has 548 MB.
MAX_BYTES = 4 * 2**30
MAX_TENSORS = 20_000

_Format = Literal["safetensors", "torch", "old torch"]

_ZIP = b"PK\x03\x04"
# The first pickle of the format before torch 1.6: the number 0x1950a86a20f9469cfc6c, whatever the protocol.
_OLD_TORCH = re.compile(rb"\x80[\x02-\x05](\x95.{8})?\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19\.", re.DOTALL)
_PAGE = re.compile(rb"\s*<(!doctype|html|head|body|\?xml|title)", re.IGNORECASE)
_REFUSED = re.compile(r"(?:GLOBAL|function) ([\w.]+)|\[([\w.]+)\]")
_SHORT = re.compile(
    r"EOF|truncated|not fully covered|incomplete|deserializing header|expected \d+ more|out of range|a buffer of",
    re.IGNORECASE,
)
_HINT = "get the file again from its authors, or ask them for safetensors"

#: What becomes of the last layer: the file's own, or left as it is for other classes.
Classifier = Literal["keep", "fresh"]
#: The source that means the ImageNet weights which torchvision's authors publish; ``hub:NAME`` is one of the catalogue.
HUB = "hub"

#: Where training scripts put the weights among other things; the last is the one of our own runs.
_NESTED = ("state_dict", "model_state_dict", "model", "network")

_CLASSIFIER = {"classifier.weight", "classifier.bias"}

# What wrappers put before or between the parts of a name: DataParallel (the official AlexNet of Places365 has
# ``features.module.0.weight``) and torch.compile.
_WRAPPERS = ("module", "_orig_mod")


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a network's weights came from: in words, the file, and the SHA-256 of its bytes."""

    source: str
    path: Path
    sha256: str


def load_weights(
    network: SceneNetwork,
    source: Path | str | None,
    *,
    classifier: Classifier = "fresh",
    fetcher: Fetcher | None = None,
) -> Origin | None:
    """Start a network from weights that somebody trained; None where ``source`` is, and the network stays as it is.

    ``source`` is a weights file (torchvision's, timm's or our own layout; also the ``best.pt`` of a run), a bundle by
    name or folder (``places100``), or ``hub``: the ImageNet weights of torchvision, downloaded once, and ``hub:NAME``
    for another entry of the catalogue. A name goes to a bundle first, then to a file here. Every tensor must have its
    place; ``classifier`` "fresh" leaves the last layer out of that; "keep" takes it over, its classes being as many.

    Raises WeightsError where weights can't be read or do not fit, BundleNotFound and what ``Bundle.load`` raises,
    FetchError where the hub can't be reached, UsageError for a network that was not built by name.
    """
    if source is None:
        return None
    told, path = _located(network, source, fetcher)
    fit_weights(network, read_checkpoint(path), path, classifier=classifier)
    return Origin(told, path, sha256_of(path))


def fit_weights(
    network: SceneNetwork, tensors: Mapping[str, Tensor], path: Path, *, classifier: Classifier = "fresh"
) -> None:
    """Copy tensors, as ``read_checkpoint`` gives them, into a network; ``path`` is only named in errors.

    Under a fresh classifier, a network that pools its features leaves out what published weights have between the two.

    Raises WeightsError, naming what is missing, left over or of another shape, with a guess which network it is.
    """
    wanted = find_architecture(_name(network))
    expected = expected_shapes(network)
    fitted = fit(tensors, wanted, expected)
    if classifier == "fresh":
        fitted = _without_classifier(fitted, wanted, expected)
        expected = {name: shape for name, shape in expected.items() if not name.startswith("classifier.")}
    weight = fitted.tensors.get("classifier.weight")
    rectified = wanted.rectified and weight is not None and weight.shape[2:] == (1, 1)
    if weight is not None and rectified:
        fitted.tensors["classifier.weight"] = weight.flatten(1)
    _check_fit(path, fitted, expected, tensors, wanted.name)
    network.load_state_dict(fitted.tensors, strict=False)
    network.rectified = rectified


def _without_classifier(fitted: Fitted, wanted: Architecture, expected: Mapping[str, torch.Size]) -> Fitted:
    """The tensors of the features; those of the head too where the network has it, or has its layer in the features."""
    tensors: dict[str, Tensor] = {}
    names = dict(fitted.names)
    for name, value in fitted.tensors.items():
        place = name
        if name.startswith("head.") and name not in expected:
            place = f"features.{name.removeprefix('head.')}"
            if place not in expected:
                continue
            names[place] = names[name]
        if not name.startswith("classifier."):
            tensors[place] = value
    left_over = tuple(name for name in fitted.left_over if not name.startswith(wanted.classifier))
    return Fitted(tensors, names, left_over)


def read_checkpoint(path: Path, *, max_bytes: int = MAX_BYTES) -> dict[str, Tensor]:
    """The tensors of a weights file by name, without ``module.``; real numbers of any width become float32.

    Read are safetensors, and torch files of both kinds: the zip archive, and what torch wrote before 1.6 (the official
    Places365 networks, whatever the ``.tar`` in their names suggests). A checkpoint may hold its weights as
    ``state_dict`` beside the epoch and other figures.

    Raises WeightsError for a file that is something else, is cut short, asks for code to be run, is over a limit, or
    holds a number that is not finite.
    """
    if not path.is_file():
        raise WeightsError(f"{path}: there is no such file; name a file with weights.")
    try:
        kind = _format(path, max_bytes)
        tensors = _read_safetensors(path) if kind == "safetensors" else _read_torch(path, kind, max_bytes)
    except OSError as error:
        raise WeightsError(f"{path}: can't be read ({error.strerror or error}); check its permissions.") from error
    if not 0 < len(tensors) <= MAX_TENSORS:
        raise WeightsError(f"{path}: holds {len(tensors):,} tensors, expected 1 to {MAX_TENSORS:,}; name another file.")
    _check_tensors(path, tensors, max_bytes)
    return {name: _as_float32(path, name, tensor) for name, tensor in _without_wrappers(path, tensors).items()}


def _format(path: Path, max_bytes: int) -> _Format:
    """What the first bytes say; the file's name is not asked."""
    size = path.stat().st_size
    if not 0 < size <= max_bytes:
        raise WeightsError(f"{path}: has {size:,} bytes, expected 1 to {max_bytes:,}; get the file again.")
    with path.open("rb") as file:
        head = file.read(512)
    if head.startswith(_ZIP):
        return "torch"
    if _OLD_TORCH.match(head):
        return "old torch"
    # The length of the header, and then the header, in JSON.
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 2**27:
        return "safetensors"
    if _PAGE.match(head):
        what = "is a web page, not weights; the address it came from asks for a login or no longer has the file"
    elif head[257:262] == b"ustar" or head.startswith((b"\x1f\x8b", b"BZh", b"7z", b"\xfd7zXZ")):
        what = "is an archive; unpack it and name the file with the weights"
    elif head[:1] == b"\x80":
        what = "is a Python pickle and no torch file; it is not opened, since a pickle runs code. Ask for safetensors"
    elif path.suffix == ".onnx":
        what = "is a graph, not weights; make a model of it with `veduta models import`"
    else:
        what = f"is neither safetensors nor a torch file; {_HINT}"
    raise WeightsError(f"{path}: {what}.")


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  it is no mapping
    except (SafetensorError, RuntimeError, ValueError) as error:
        raise _unreadable(path, error) from error


def _read_torch(path: Path, kind: _Format, max_bytes: int) -> dict[str, Tensor]:
    if kind == "torch":
        _check_archive(path, max_bytes)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the format's age
            # Latin-1 reads every byte: Python 2 wrote names without saying in which letters.
            loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=kind == "torch", encoding="latin1")
    except OSError:
        raise
    except Exception as error:  # hostile bytes make the reader fail in any way
        raise _unreadable(path, error) from error
    return _state(path, loaded)


def _check_archive(path: Path, max_bytes: int) -> None:
    """torch stores what it writes as it is, so a compressed entry is not torch's, and may unpack to anything."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise WeightsError(f"{path}: is cut short or damaged; {_HINT}.") from error
    names = [entry.filename for entry in entries]
    if any(name.endswith("/constants.pkl") for name in names):
        raise WeightsError(f"{path}: is a TorchScript program, which is never run; ask its authors for the weights.")
    if not any(name.endswith("/data.pkl") for name in names):
        raise WeightsError(f"{path}: is a zip archive without torch's weights; unpack it, or name another file.")
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise WeightsError(f"{path}: is compressed, which torch never does with weights; unpack it, or {_HINT}.")
    if len(entries) > MAX_TENSORS + 100 or sum(entry.file_size for entry in entries) > max_bytes:
        raise WeightsError(f"{path}: unpacks to more than {max_bytes:,} bytes or {MAX_TENSORS:,} tensors; {_HINT}.")


def _unreadable(path: Path, error: Exception) -> WeightsError:
    told = str(error)
    refused = _REFUSED.search(told) if "weights" in told.lower() or "GLOBAL" in told else None
    if refused is not None:
        name = refused[1] or refused[2]
        return WeightsError(
            f"{path}: asks for {name[:100]} to be called, which weights never need; none of it was run. Ask for the "
            f"state_dict alone, or safetensors."
        )
    if isinstance(error, EOFError) or _SHORT.search(told):
        return WeightsError(f"{path}: is cut short or damaged; get the file again.")
    line = next((line.strip() for line in reversed(told.splitlines()) if line.strip()), type(error).__name__)
    return WeightsError(f"{path}: can't be read as weights ({printable(line[:160])}); {_HINT}.")


def _state(path: Path, loaded: Any) -> dict[str, Tensor]:
    """The weights among what a training script saved."""
    if isinstance(loaded, Mapping):
        loaded = next((loaded[key] for key in _NESTED if isinstance(loaded.get(key), Mapping)), loaded)
    if not isinstance(loaded, Mapping):
        raise WeightsError(f"{path}: holds a {type(loaded).__name__}, expected tensors by name; save the state_dict.")
    for name, value in loaded.items():
        if not (isinstance(name, str) and isinstance(value, Tensor)):
            raise WeightsError(
                f"{path}: holds a {type(value).__name__} as {printable(str(name)[:80])!r}, expected tensors by name; "
                f"save the state_dict alone."
            )
    return dict(loaded)


def _check_tensors(path: Path, tensors: Mapping[str, Tensor], max_bytes: int) -> None:
    """A few bytes may claim to be a tensor of any shape, so nothing is computed before this."""
    total = 0
    for name, tensor in tensors.items():
        plain = tensor.layout == torch.strided and tensor.device.type == "cpu" and not tensor.is_quantized
        size = tensor.numel() * tensor.element_size()
        total += size
        if not plain or tensor.is_complex() or size > tensor.untyped_storage().nbytes():
            raise WeightsError(f"{path}: {printable(name[:80])!r} is no plain tensor of numbers; {_HINT}.")
    if total > max_bytes:
        raise WeightsError(f"{path}: its tensors take {total:,} bytes, more than the {max_bytes:,} allowed; {_HINT}.")


def _without_wrappers(path: Path, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    plain: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        short = ".".join(part for part in name.split(".") if part not in _WRAPPERS)
        if short in plain:
            raise WeightsError(f"{path}: has {printable(short[:80])!r} with and without 'module.'; save it anew.")
        plain[short] = tensor
    return plain


def _as_float32(path: Path, name: str, tensor: Tensor) -> Tensor:
    tensor = tensor.detach()
    if not tensor.is_floating_point():
        return tensor
    tensor = tensor.float()
    # Both are NaN where a number is; isfinite itself would take the tensor's memory once more.
    if tensor.numel() and not all(math.isfinite(each) for each in map(float, tensor.aminmax())):
        raise WeightsError(f"{path}: {printable(name[:80])!r} holds a number that is not finite; {_HINT}.")
    return tensor


def _name(network: SceneNetwork) -> str:
    if network.architecture is None:
        raise UsageError("this network was not built by its name, so no weights can be matched; use networks.build.")
    return network.architecture


def _located(network: SceneNetwork, source: Path | str, fetcher: Fetcher | None) -> tuple[str, Path]:
    """What the source is called, and its file on this disk."""
    text = str(source)
    if text == HUB or text.startswith(f"{HUB}:"):
        from veduta.training.pull import fetch_weights

        wanted = text.removeprefix(HUB).removeprefix(":") or f"imagenet-{find_architecture(_name(network)).family}"
        downloaded = fetch_weights(wanted, fetcher=fetcher)
        return f"hub:{wanted}", downloaded.path
    path = Path(source)
    try:
        folder = find(source)
    except BundleNotFound:
        if path.is_file():
            return text, path
        if path.suffix or path.name != text:
            raise WeightsError(f"{path}: there is no such file; name weights, or a model such as places100.") from None
        raise
    bundle = Bundle.load(folder)
    if bundle.weights is None:
        raise WeightsError(f"{bundle.path}: the model has no weights.safetensors to start from; choose another model.")
    if not same_family(bundle.architecture, network.architecture):
        raise WeightsError(
            f"{bundle.path}: the model {bundle.name} is a {bundle.architecture or 'network of unknown architecture'}, "
            f"the network to train a {network.architecture}; choose one of them for both."
        )
    return f"{bundle.name} ({bundle.bundle_id})", bundle.weights


def _check_fit(
    path: Path, fitted: Fitted, expected: Mapping[str, torch.Size], tensors: Mapping[str, Tensor], architecture: str
) -> None:
    missing = expected.keys() - fitted.tensors.keys()
    left_over = [fitted.names[name] for name in fitted.tensors.keys() - expected.keys()] + list(fitted.left_over)
    shapes = {
        name: value.shape
        for name, value in fitted.tensors.items()
        if name in expected and value.shape != expected[name]
    }
    if not (missing or left_over or shapes):
        return
    classes = shapes.get("classifier.bias")
    if classes is not None and not missing and not left_over and shapes.keys() <= _CLASSIFIER:
        raise WeightsError(
            f"{path}: its classifier tells {classes[0]} classes apart, expected {expected['classifier.bias'][0]}; "
            f"give as many labels, or leave its classifier out."
        )
    if missing == _CLASSIFIER and not left_over and not shapes:
        raise WeightsError(
            f"{path}: has no classifier, so no model can be made of it; a training can start from it "
            f"(`veduta train DATA --weights FILE`)."
        )
    faults = []
    if missing:
        faults.append(f"{_tensors(len(missing))} missing ({_counted(missing)})")
    if left_over:
        faults.append(f"{_tensors(len(left_over))} left over ({_counted(left_over)})")
    if shapes:
        first = min(shapes)
        faults.append(
            f"{_tensors(len(shapes))} of another shape ({fitted.names[first]} {list(shapes[first])}, "
            f"expected {list(expected[first])})"
        )
    seen = guess(tensors)
    hint = f"it looks like {seen}" if seen and seen != architecture else "it may be cut short, or another variant"
    raise WeightsError(f"{path}: does not fit {architecture}: {', '.join(faults)}; {hint}.")


def _tensors(count: int) -> str:
    return f"{count} tensor is" if count == 1 else f"{count} tensors are"


def _counted(names: Iterable[str], most: int = 3) -> str:
    """The first few names, and how many there are in all."""
    listed = sorted(names)
    more = f" and {len(listed) - most} more" if len(listed) > most else ""
    return ", ".join(printable(name[:80]) for name in listed[:most]) + more
