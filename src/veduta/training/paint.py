"""Painting by number: patterns, pages, drawings and shaded things, each from a generator and a side in pixels.

All return uint8 ``[side, side, 3]``.
"""

from __future__ import annotations

import colorsys
import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

RGB = NDArray[np.uint8]
_Plane = NDArray[np.floating]
_Random = np.random.Generator
_Colour = tuple[int, int, int]

_LETTERS = "aaabcdeeeefghiiijklmnnoooprrsssttttuuvwxyz"


def colours(random: _Random, count: int) -> _Plane:
    """Random colours ``[count, 3]`` in 0 to 255, pale ones more often than loud ones."""
    hues, saturations, values = random.random(count), random.beta(1.2, 2.0, count), random.uniform(0.1, 1.0, count)
    return 255 * np.array(list(map(colorsys.hsv_to_rgb, hues, saturations, values)))


def plain_noise(random: _Random, side: int) -> RGB:
    """Independent pixels or squares of pixels: even, normal, or black and white."""
    values: _Plane
    cells = side // int(random.choice((1, 2, 4, 8)))
    channels = int(random.choice((1, 3)))
    match random.integers(3):
        case 0:
            values = random.uniform(0, 255, (cells, cells, channels))
        case 1:
            values = random.normal(random.uniform(60, 200), random.uniform(10, 60), (cells, cells, channels))
        case _:
            values = 255.0 * (random.random((cells, cells, channels)) < random.uniform(0.05, 0.95))
    return _enlarged(_bytes(np.broadcast_to(values, (cells, cells, 3))), side, Image.Resampling.NEAREST)


def fractal_noise(random: _Random, side: int, exponent: float, *, channels: int) -> RGB:
    """Noise whose amplitude falls with the frequency to the power ``exponent``, between two or six colours."""
    planes = [_fractal_plane(random, side, exponent) for _ in range(channels)]
    if channels == 1:
        return _mixed(random, planes[0])
    low, high = np.sort(random.uniform(0, 255, (2, 3)), axis=0)
    return _bytes(low + (high - low) * np.stack(planes, -1))


def gradient(random: _Random, side: int) -> RGB:
    """One colour, or two to four along a line or around a point."""
    along = _linear(random, side) if random.random() < 0.6 else _radial(random, side)
    ends = colours(random, int(random.integers(1, 5)))
    if len(ends) == 1:
        return _bytes(np.broadcast_to(ends[0], (side, side, 3)))
    stops = np.linspace(0, 1, len(ends))
    return _bytes(np.stack([np.interp(along, stops, ends[:, channel]) for channel in range(3)], -1))


def pattern(random: _Random, side: int) -> RGB:
    """Stripes, checks, dots, cells, bricks, spots or grain, slightly warped and unevenly coloured."""
    y, x = _warped(random, side)
    period = side / random.uniform(3, 24)
    match random.integers(7):
        case 0:
            values = 0.5 + 0.5 * np.sin(2 * np.pi * x / period)
        case 1:
            values = ((x // period + y // period) % 2).astype(np.float64)
        case 2:
            values = (
                np.hypot(x % period - period / 2, y % period - period / 2) < period * random.uniform(0.15, 0.45)
            ) * 1.0
        case 3:
            values = _cells(random, y, x, side)
        case 4:
            shifted = x + period * (y // (period / 2) % 2)
            joint = period * random.uniform(0.04, 0.12)
            values = ((shifted % (2 * period) > joint) & (y % (period / 2) > joint)) * random.uniform(0.7, 1.0, (1, 1))
        case 5:
            values = 1.0 * (_band(random, side, period) > random.normal(0, 0.5))
        case _:
            values = 0.5 + 0.5 * np.sin(2 * np.pi * (x + 2 * period * _fractal_plane(random, side, 2.0)) / period)
    grain = _fractal_plane(random, side, random.uniform(0.5, 2.0))
    return _mixed(random, np.clip(values + random.uniform(0, 0.5) * (grain - 0.5), 0, 1))


def strands(random: _Random, side: int) -> RGB:
    """Hair, grass or yarn: noise drawn out along a field (Cabral and Leedom 1993, line integral convolution)."""
    angle = random.uniform(0, np.pi) + random.uniform(0.5, 3.0) * (_fractal_plane(random, side, 2.5) - 0.5)
    noise = random.random((side, side))
    length = int(side * random.uniform(0.04, 0.15))
    y, x = np.mgrid[:side, :side].astype(np.float64)
    total = np.zeros((side, side))
    for _ in range(length):
        rows, columns = y.astype(int) % side, x.astype(int) % side
        total += noise[rows, columns]
        x, y = x + np.cos(angle[rows, columns]), y + np.sin(angle[rows, columns])
    coat = 0.6 * _stretched(total) + 0.4 * _stretched(_fractal_plane(random, side, 2.2))
    return _mixed(random, coat)


def page(random: _Random, side: int) -> RGB:
    """A page of text with headings, tables and boxes, perhaps photographed at an angle on a table."""
    paper = 255 - 25 * random.random(3) if random.random() < 0.8 else colours(random, 1)[0]
    ink = paper * random.uniform(0.0, 0.4) if paper.mean() > 110 else 255 - (255 - paper) * 0.2
    image = Image.new("RGB", (side, side), _tuple(paper))
    draw = ImageDraw.Draw(image)
    size = side * random.uniform(0.025, 0.09)
    font = ImageFont.load_default(size)
    top, margin = side * random.uniform(0, 0.1), side * random.uniform(0, 0.12)
    while top < side:
        kind = random.random()
        if kind < 0.08:
            draw.text((margin, top), _words(random, 2), _tuple(ink), ImageFont.load_default(size * 2))
            top += 3 * size
        elif kind < 0.16:
            bottom = top + size * random.uniform(2, 6)
            draw.rectangle((margin, top, side - margin, bottom), _tuple(colours(random, 1)[0]), _tuple(ink))
            top = bottom + size
        elif kind < 0.22:
            top += size * 1.5
        else:
            draw.text((margin, top), _words(random, 14)[: int(random.integers(20, 90))], _tuple(ink), font)
            top += size * 1.35
    if random.random() < 0.5:
        image = image.rotate(random.uniform(-40, 40), Image.Resampling.BICUBIC, fillcolor=_tuple(colours(random, 1)[0]))
    shade = 0.75 + 0.25 * _linear(random, side)[..., None]
    return _bytes(np.asarray(image) * (shade if random.random() < 0.6 else 1.0))


def chart(random: _Random, side: int) -> RGB:
    """Bars, lines, a pie or points with axes and words."""
    paper, ink = ((255, 255, 255), (30, 30, 30)) if random.random() < 0.7 else ((25, 28, 36), (220, 220, 220))
    image = Image.new("RGB", (side, side), paper)
    draw = ImageDraw.Draw(image)
    left, bottom = side * 0.12, side * 0.88
    values = random.random((int(random.integers(1, 4)), int(random.integers(4, 14))))
    steps = np.linspace(left, side * 0.95, values.shape[1] + 1)
    kind = ("pie", "bars", "lines", "points")[int(random.integers(4))]
    if kind == "pie":
        _pie(random, draw, values[0])
    else:
        draw.line((left, side * 0.08, left, bottom, side * 0.95, bottom), ink, max(1, side // 120))
        for row, series in enumerate(values):
            _series(draw, kind, steps, bottom - side * 0.75 * series, bottom, row, _tuple(colours(random, 1)[0]))
    font = ImageFont.load_default(side * 0.045)
    draw.text((left, side * 0.02), _words(random, 3), ink, font)
    for x in steps[::3]:
        draw.text((x, bottom + side * 0.02), str(random.integers(1, 200)), ink, font)
    return np.asarray(image)


def _pie(random: _Random, draw: ImageDraw.ImageDraw, values: _Plane) -> None:
    side = draw.im.size[0]
    turn = 0.0
    for part in 360 * values / values.sum():
        box = (side * 0.2, side * 0.2, side * 0.85, side * 0.85)
        draw.pieslice(box, turn, turn + part, _tuple(colours(random, 1)[0]))
        turn += part


def _series(
    draw: ImageDraw.ImageDraw, kind: str, steps: _Plane, tops: _Plane, bottom: float, row: int, colour: _Colour
) -> None:
    """One of up to three rows of values: ``tops`` [n] at ``steps`` [n + 1], in pixels."""
    points = list(zip(steps.tolist(), tops.tolist(), strict=False))
    width = (steps[1] - steps[0]) / 4
    match kind:
        case "bars":
            for x, y in points:
                draw.rectangle((x + row * width, y, x + (row + 1) * width, bottom), colour)
        case "lines":
            draw.line(points, colour, max(2, round(bottom / 60)))
        case _:
            for point in points:
                draw.circle(point, bottom / 60, colour)


def line_drawing(random: _Random, side: int) -> RGB:
    """Strokes and flat shapes, as in a sketch, a sign or a cartoon."""
    background = _tuple(255 - 20 * random.random(3) if random.random() < 0.6 else colours(random, 1)[0])
    image = Image.new("RGB", (side, side), background)
    draw = ImageDraw.Draw(image)
    filled = random.random() < 0.6
    width = max(1, round(side * random.uniform(0.004, 0.03)))
    for _ in range(int(random.integers(2, 16))):
        line, fill = (_tuple(each) for each in colours(random, 2) * (0.4, 1.0)[filled])
        outline = _outline(random, side)
        if random.random() < 0.4:
            draw.line(outline[: int(random.integers(2, len(outline) + 1))], line, width, joint="curve")
        else:
            draw.polygon(outline, fill if filled else None, line, width)
    return np.asarray(image)


def shaded_things(random: _Random, ground: RGB) -> RGB:
    """One to four rounded things, lit from one side, in front of ``ground`` and throwing a soft shadow on it."""
    side = len(ground)
    picture = ground.astype(np.float64)
    light = random.normal(0, 1, 2)
    light /= max(1e-6, float(np.hypot(*light)))
    for _ in range(int(random.choice((1, 1, 1, 2, 3, 4)))):
        mask = Image.new("L", (side, side))
        ImageDraw.Draw(mask).polygon(_outline(random, side, largest=0.48), 255)
        inside = np.asarray(mask.filter(ImageFilter.GaussianBlur(side * 0.004))) / 255.0
        dome = np.asarray(mask.filter(ImageFilter.GaussianBlur(side * random.uniform(0.02, 0.1)))) / 255.0
        down, right = np.gradient(dome)
        slope = np.stack([down, right], -1) * side * random.uniform(0.05, 0.2)
        shade = np.clip(0.75 - slope @ light, 0.15, 1.6)[..., None]
        shine = np.exp(-((slope[..., 0] + light[0]) ** 2 + (slope[..., 1] + light[1]) ** 2) / 0.05)[..., None]
        surface = _surface(random, side).astype(np.float64) * shade + 160 * shine * random.random()
        shift = tuple(int(each) for each in 0.04 * side * light)
        shadow = np.roll(np.asarray(mask.filter(ImageFilter.GaussianBlur(side * 0.03))) / 255.0, shift, (0, 1))
        picture *= 1 - 0.5 * shadow[..., None]
        picture += inside[..., None] * (surface - picture)
    return _bytes(picture)


def _surface(random: _Random, side: int) -> RGB:
    match random.integers(5):
        case 0:
            return strands(random, side)
        case 1:
            return pattern(random, side)
        case 2:
            return fractal_noise(random, side, random.uniform(1.0, 2.5), channels=1)
        case _:
            return _bytes(np.broadcast_to(colours(random, 1)[0], (side, side, 3)))


def _outline(random: _Random, side: int, largest: float = 0.4) -> list[tuple[float, float]]:
    """A closed curve: an ellipse, a polygon or a smooth blob (a circle whose radius has four random harmonics)."""
    middle = side * random.uniform(0.3, 0.7, 2)
    radii = side * random.uniform(0.08, largest) * np.array([1.0, random.uniform(0.4, 1.0)])
    turn = random.uniform(0, 2 * np.pi)
    corners = int(random.choice((3, 4, 5, 6, 90, 90, 90)))
    angles = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    radius = np.ones(corners)
    if corners > 6 and random.random() < 0.7:
        for harmonic in range(2, 6):
            radius += random.normal(0, 0.25 / harmonic) * np.cos(harmonic * angles + random.uniform(0, 2 * np.pi))
    flat = np.stack([radius * np.cos(angles) * radii[0], radius * np.sin(angles) * radii[1]])
    rotation = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    return [(float(x), float(y)) for x, y in (rotation @ flat).T + middle]


def _fractal_plane(random: _Random, side: int, exponent: float) -> _Plane:
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None])
    frequency[0, 0] = np.inf
    spectrum = np.fft.rfft2(random.normal(size=(side, side))) / frequency**exponent
    return _stretched(np.fft.irfft2(spectrum, (side, side)))


def _band(random: _Random, side: int, period: float) -> _Plane:
    """Noise of about one wavelength, mean 0 and deviation 1: the spots and mazes of a hide."""
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None])
    ring = np.exp(-(((frequency - 1 / period) * period / 0.3) ** 2))
    values = np.fft.irfft2(np.fft.rfft2(random.normal(size=(side, side))) * ring, (side, side))
    return np.asarray((values - values.mean()) / (values.std() + 1e-9))


def _cells(random: _Random, y: _Plane, x: _Plane, side: int) -> _Plane:
    """Distance to the nearest of random points, or the nearest point's own grey: stones, scales, cracks."""
    points = random.uniform(0, side, (int(random.integers(8, 60)), 2))
    squares = (y[..., None] - points[:, 0]) ** 2 + (x[..., None] - points[:, 1]) ** 2
    if random.random() < 0.5:
        greys: _Plane = random.random(len(points))[squares.argmin(-1)]
        return greys
    return _stretched(np.sqrt(squares.min(-1)))


def _warped(random: _Random, side: int) -> tuple[_Plane, _Plane]:
    y, x = np.mgrid[:side, :side].astype(np.float64)
    turn, bend = random.uniform(0, 2 * np.pi), side * random.uniform(0, 0.15)
    bent = bend * (_fractal_plane(random, side, 3.0) - 0.5)
    return math.cos(turn) * y - math.sin(turn) * x + bent, math.sin(turn) * y + math.cos(turn) * x + bent


def _linear(random: _Random, side: int) -> _Plane:
    y, x = np.mgrid[:side, :side].astype(np.float64)
    turn = random.uniform(0, 2 * np.pi)
    return _stretched(math.cos(turn) * x + math.sin(turn) * y)


def _radial(random: _Random, side: int) -> _Plane:
    y, x = np.mgrid[:side, :side].astype(np.float64)
    middle = side * random.uniform(-0.2, 1.2, 2)
    return _stretched(np.hypot(y - middle[0], x - middle[1]))


def _mixed(random: _Random, share: _Plane) -> RGB:
    """Two colours, mixed by a plane in 0 to 1."""
    first, second = colours(random, 2)
    return _bytes(first + (second - first) * share[..., None])


def _stretched(plane: _Plane) -> _Plane:
    return np.asarray((plane - plane.min()) / (np.ptp(plane) + 1e-9))


def _words(random: _Random, count: int) -> str:
    return " ".join("".join(random.choice(list(_LETTERS), int(random.integers(2, 10)))) for _ in range(count))


def _tuple(colour: _Plane) -> _Colour:
    red, green, blue = (int(np.clip(each, 0, 255)) for each in colour)
    return red, green, blue


def _enlarged(pixels: RGB, side: int, way: Image.Resampling) -> RGB:
    return np.asarray(Image.fromarray(pixels).resize((side, side), way))


def _bytes(values: _Plane) -> RGB:
    return np.clip(values, 0, 255).astype(np.uint8)
