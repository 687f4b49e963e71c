"""A vision transformer whose features are a grid, so that it has heat maps like a convolutional network.

Dosovitskiy et al. 2021, "An Image is Worth 16x16 Words"; the sizes and the weights that fit are those of Oquab et al.
2024, "DINOv2: Learning Robust Visual Features without Supervision". The attention blocks are timm's.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


class PatchFeatures(nn.Module):
    """The patches of a photo as the last block and the norm leave them: features ``[n, d, h / p, w / p]``.

    The class token takes part in the attention and is left out of what comes out: so the mean over the patches is an
    embedding, and a linear classifier of that mean has class maps. A side that is no multiple of the patch's ``p``
    pixels is resized to the nearest one, so that a graph takes photos of any size. The learnt positions are fitted to
    the grid, bicubically as DINOv2 does.
    """

    def __init__(self, vit: Any) -> None:
        """``vit`` is timm's, with a class token and learnt positions of a square grid."""
        super().__init__()
        self.patch_embed: nn.Module = vit.patch_embed
        self.cls_token: nn.Parameter = vit.cls_token
        self.pos_embed: nn.Parameter = vit.pos_embed
        self.blocks: nn.Module = vit.blocks
        self.norm: nn.Module = vit.norm
        self.patch: int = vit.patch_embed.patch_size[0]
        self.grid: int = vit.patch_embed.grid_size[0]

    def forward(self, images: Tensor) -> Tensor:
        """Float ``[n, 3, h, w]`` to ``[n, d, h', w']``."""
        rows, columns = ((side + self.patch // 2) // self.patch for side in images.shape[2:])
        size = (rows * self.patch, columns * self.patch)
        whole = functional.interpolate(images, size=size, mode="bilinear", align_corners=False)
        patches: Tensor = self.patch_embed.get_submodule("proj")(whole) + self._positions(rows, columns)
        first = (self.cls_token + self.pos_embed[:, :1]).expand(patches.shape[0], -1, -1)
        tokens: Tensor = self.norm(self.blocks(torch.cat([first, patches.flatten(2).transpose(1, 2)], 1)))
        return tokens[:, 1:].transpose(1, 2).reshape(patches.shape)

    def _positions(self, rows: int, columns: int) -> Tensor:
        """The learnt positions on a grid of this size, ``[1, d, rows, columns]``."""
        learnt = self.pos_embed[:, 1:].transpose(1, 2).reshape(1, -1, self.grid, self.grid)
        return functional.interpolate(learnt, size=(rows, columns), mode="bicubic", align_corners=False)
