"""A small convolutional network to train from scratch."""

from __future__ import annotations

from torch import nn

#: The channels of each block; the last are those of the features.
WIDTHS = (32, 64, 128, 256)


def small_cnn(widths: tuple[int, ...] = WIDTHS) -> nn.Sequential:
    """Float ``[n, 3, h, w]`` to features ``[n, d, h', w']``, d the last of ``widths``.

    A block for each width, of two 3 × 3 convolutions with batch norm and ReLU, the first with a stride of 2. With four
    of them, a position stands for 16 pixels and sees 91: a photo of 32 pixels gives 2 × 2 of them, one of 224 gives
    14 × 14.
    """
    blocks = [
        nn.Sequential(*_convolution(before, width, stride=2), *_convolution(width, width, stride=1))
        for before, width in zip((3, *widths), widths, strict=False)
    ]
    return nn.Sequential(*blocks)


def _convolution(before: int, width: int, stride: int) -> tuple[nn.Module, ...]:
    convolution = nn.Conv2d(before, width, 3, stride, padding=1, bias=False)
    nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
    return convolution, nn.BatchNorm2d(width), nn.ReLU(inplace=True)
