"""What a user would otherwise write: torch in a DataLoader, and Hugging Face's pipeline.

Both open photos with Pillow and decode them whole, preprocess with torchvision, and compute in float32. Written as
their documentation shows it, with what helps there: worker processes that stay, batches, inference mode.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from bench.networks import SHORT_SIDE, SIDE, NetworkName, hugging_face_network, torch_network
from veduta.models.threads import available_threads

_MEAN, _STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
WORKERS = 2


class TorchSide:
    """Pillow, torchvision's transforms and a torch network behind a DataLoader with two workers."""

    def __init__(self, network: NetworkName, photos: Sequence[Path], batch: int, *, channels_last: bool) -> None:
        torch.set_num_threads(available_threads())
        self._batch = batch
        self._layout = torch.channels_last if channels_last else torch.contiguous_format
        self._network = torch_network(network).to(memory_format=self._layout)
        self._loader: DataLoader[Tensor] = DataLoader(
            _Photos(photos), batch_size=batch, num_workers=WORKERS, persistent_workers=True
        )

    def facts(self) -> dict[str, Any]:
        """How this side works."""
        return {
            "threads": f"{torch.get_num_threads()} of torch, {WORKERS} DataLoader workers, batches of {self._batch}",
            "precision": "float32",
        }

    def pipeline(self) -> list[int]:
        """The most probable class of each photo."""
        found: list[int] = []
        with torch.inference_mode():
            for batch in self._loader:
                logits: Tensor = self._network(batch.to(memory_format=self._layout))
                found += logits.softmax(1).argmax(1).tolist()
        return found

    def close(self) -> None:
        """The workers end with the loader."""
        del self._loader


class _Photos(Dataset[Tensor]):
    def __init__(self, photos: Sequence[Path]) -> None:
        self._photos = photos
        self._transform = transforms.Compose(
            [
                transforms.Resize(SHORT_SIDE),
                transforms.CenterCrop(SIDE),
                transforms.ToTensor(),
                transforms.Normalize(_MEAN, _STD),
            ]
        )

    def __len__(self) -> int:
        return len(self._photos)

    def __getitem__(self, index: int) -> Tensor:
        with Image.open(self._photos[index]) as photo:
            pixels: Tensor = self._transform(photo.convert("RGB"))
        return pixels


class HuggingFaceSide:
    """``pipeline("image-classification")`` of transformers, given the list of files, batches and two workers."""

    def __init__(self, network: NetworkName, photos: Sequence[Path], batch: int) -> None:
        from transformers import ConvNextImageProcessor, ImageClassificationPipeline

        torch.set_num_threads(available_threads())
        self._batch = batch
        # The processor that published ResNets come with: the short side to size / crop_pct, and the middle cut out.
        processor = ConvNextImageProcessor(
            size={"shortest_edge": SIDE},
            crop_pct=SIDE / SHORT_SIDE,
            resample=Image.Resampling.BILINEAR,
            image_mean=_MEAN,
            image_std=_STD,
        )
        self._processor = processor
        self._pipeline = ImageClassificationPipeline(  # type: ignore[no-untyped-call]
            model=hugging_face_network(network), image_processor=processor, device="cpu"
        )
        self._photos = [str(photo) for photo in photos]

    def facts(self) -> dict[str, Any]:
        """How this side works."""
        return {
            "threads": f"{torch.get_num_threads()} of torch, {WORKERS} pipeline workers, batches of {self._batch}",
            "precision": "float32",
        }

    def pipeline(self) -> list[int]:
        """The most probable class of each photo."""
        answers: Iterator[list[dict[str, Any]]] = iter(
            self._pipeline(self._photos, batch_size=self._batch, num_workers=WORKERS, top_k=5)
        )
        return [int(answer[0]["label"].rsplit("_", 1)[1]) for answer in answers]

    def close(self) -> None:
        """Nothing stays between two runs."""
