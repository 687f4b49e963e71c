"""JPEG: the header under limits, decoding at a reduced size, and how much of a cut-off file is there.

libjpeg-turbo decodes straight to 1/2, 1/4 or 1/8 of the size. simplejpeg reaches it with the fewest copies, Pillow
takes what simplejpeg refuses (CMYK, rare samplings); both give the same pixels, because both use the exact transforms.
"""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image

from veduta.errors import CorruptPhoto, PhotoTooLarge
from veduta.images.limits import Limits, printable

# Cameras write below a hundred segments; an ICC profile or EXIF in 64 KB pieces may take some hundred more.
MAX_SEGMENTS = 2_000
MAX_EXIF_SEGMENTS = 16
# Ten scans are usual. Each costs a pass over the whole photo, so a file of thousands would decode for minutes.
MAX_SCANS = 100
# The share of the rows that must be there for an answer.
LEAST_SHARE = 0.5

_END = b"\xff\xd9"
# Stands in for the missing data: no byte is 0xFF, so it holds no marker, and it decodes to anything but what was there.
_NOISE = bytes((index * 37 + index // 7 * 11) % 251 for index in range(4096))

# What ends a scan's data: not an escaped 0xFF, a restart or a fill byte.
_MARKER_IN_DATA = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")

_FRAMES = frozenset({0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF})
_HUFFMAN_DCT = frozenset({0xC0, 0xC1, 0xC2})
_WITHOUT_LENGTH = frozenset({0x01, 0xD8, *range(0xD0, 0xD8)})


@dataclass(frozen=True, slots=True)
class JpegHeader:
    """What stands before the first scan. ``components`` are (id, horizontal sampling, vertical sampling)."""

    width: int
    height: int
    frame: int
    bits: int
    components: tuple[tuple[int, int, int], ...]
    exif: bytes | None
    profile: bytes | None
    scan: int

    @property
    def lossy(self) -> bool:
        """8 bit, Huffman-coded, with a cosine transform: what photos are, and what both decoders read."""
        return self.frame in _HUFFMAN_DCT and self.bits == 8

    @property
    def blocks(self) -> int:
        """How many blocks of 8×8 coefficients the photo has, over all components."""
        across = max(horizontal for _, horizontal, _ in self.components)
        down = max(vertical for _, _, vertical in self.components)
        return sum(
            -(-self.width * horizontal // (8 * across)) * -(-self.height * vertical // (8 * down))
            for _, horizontal, vertical in self.components
        )


def read_header(data: bytes) -> JpegHeader | None:
    """Read up to the first scan; None where that is not reached or contradicts itself."""
    at, frame = 2, None
    exif: list[bytes] = []
    profile: dict[int, bytes] = {}
    for _ in range(MAX_SEGMENTS):
        at = data.find(b"\xff", at)
        while 0 <= at < len(data) and data[at] == 0xFF:
            at += 1
        if at < 1 or at + 3 > len(data):
            return None
        marker = data[at]
        at += 1
        if marker in _WITHOUT_LENGTH or marker == 0:
            continue
        length = data[at] << 8 | data[at + 1]
        body = data[at + 2 : at + length]
        if marker == 0xD9 or length < 2 or len(body) < length - 2:
            return None
        if marker == 0xDA:
            return _header(frame, exif, profile, at - 2)
        if marker in _FRAMES:
            frame = (marker, body)
        elif marker == 0xE1 and body.startswith(b"Exif\0\0") and len(exif) < MAX_EXIF_SEGMENTS:
            exif.append(body[6:])
        elif marker == 0xE2 and body.startswith(b"ICC_PROFILE\0") and len(body) > 14:
            profile[body[12]] = body[14:]
        at += length
    return None


def _header(
    frame: tuple[int, bytes] | None, exif: list[bytes], profile: dict[int, bytes], scan: int
) -> JpegHeader | None:
    if frame is None or len(frame[1]) < 6:
        return None
    marker, body = frame
    bits, height, width, count = struct.unpack_from(">BHHB", body)
    if not (width and height and 1 <= count <= 4 and len(body) >= 6 + 3 * count):
        return None
    components = tuple((body[at], body[at + 1] >> 4, body[at + 1] & 15) for at in range(6, 6 + 3 * count, 3))
    if not all(1 <= horizontal <= 4 and 1 <= vertical <= 4 for _, horizontal, vertical in components):
        return None
    joined = b"".join(profile[number] for number in sorted(profile)) or None
    return JpegHeader(width, height, marker, bits, components, b"".join(exif) or None, joined, scan)


def decode_jpeg(
    data: bytes, header: JpegHeader, factor: float, limits: Limits, name: str
) -> tuple[Image.Image, tuple[str, ...]]:
    """Decode to 1, 1/2, 1/4 or 1/8 of the size, the smallest that shrinks by no more than ``factor``.

    Returns the picture (RGB, L or CMYK; not turned) and marks: ``cut off``, ``damaged``.
    Raises CorruptPhoto, PhotoTooLarge.
    """
    scans = _check_cost(data, header, limits, name)
    scale = next(scale for scale in (8, 4, 2, 1) if scale <= factor or scale == 1)
    if not header.lossy or len(header.components) not in (1, 3):
        return _decode_by_pillow(data, header, scale, scans, name)
    try:
        return _decode_by_turbo(data, header, scale, strict=True), ()
    except ValueError as error:
        complaint = str(error)
    if "remature end" in complaint:
        try:
            marks = _cut_marks(
                data, header, scans, lambda part: _pixels_by_turbo(part, header, scale, strict=False), name
            )
            return _decode_by_turbo(data, header, scale, strict=False), marks
        except ValueError:
            complaint = ""
    image, marks = _decode_by_pillow(data, header, scale, scans, name)
    # Some cameras leave bytes between the data and the next marker, which harms nothing.
    harmless = not complaint or "extraneous bytes before marker" in complaint or "subsampling" in complaint
    return image, marks if marks or harmless else ("damaged",)


def _check_cost(data: bytes, header: JpegHeader, limits: Limits, name: str) -> list[int]:
    """Refuse what would cost too much, from the header alone. Returns where the scans begin."""
    # A Huffman code has at least one bit, and each block at least one code: a header of many pixels needs its bytes.
    if header.lossy and 8 * (len(data) - header.scan) < LEAST_SHARE * header.blocks:
        raise CorruptPhoto(
            f"{printable(name)} says that it is {header.width}×{header.height} pixels, but is too small to hold "
            f"{LEAST_SHARE:.0%} of them; copy the file again."
        )
    # A scan that does not hold all components makes the decoder keep every coefficient until the last scan.
    whole_in_memory = header.frame not in (0xC0, 0xC1) or data[header.scan + 4] < len(header.components)
    if not whole_in_memory:
        return [header.scan]
    if 128 * header.blocks > limits.max_memory:
        raise PhotoTooLarge(
            f"{printable(name)} is a progressive JPEG whose decoding would take {128 * header.blocks / 2**20:.0f} MB, "
            f"over the limit of {limits.max_memory / 2**20:.0f} MB; raise the limit or save the photo as baseline JPEG."
        )
    scans = _find_scans(data, header.scan)
    if len(scans) > MAX_SCANS:
        raise CorruptPhoto(
            f"{printable(name)} is a progressive JPEG of more than {MAX_SCANS} scans, which no camera or program "
            "writes; save the photo anew."
        )
    return scans


def _find_scans(data: bytes, first: int) -> list[int]:
    """Where scans begin, at most one more than ``MAX_SCANS``. Within a scan's data 0xFF is always escaped."""
    found = [first]
    while len(found) <= MAX_SCANS:
        at = data.find(b"\xff\xda", found[-1] + 2)
        if at < 0:
            break
        found.append(at)
    return found


def _decode_by_turbo(data: bytes, header: JpegHeader, scale: int, *, strict: bool) -> Image.Image:
    rows = _pixels_by_turbo(data, header, scale, strict=strict)
    size = rows.shape[1], rows.shape[0]
    if rows.shape[2] == 1:
        return Image.frombuffer("L", size, rows, "raw", "L", 0, 1)
    return Image.frombuffer("RGB", size, rows, "raw", "RGB", 0, 1)


def _pixels_by_turbo(data: bytes, header: JpegHeader, scale: int, *, strict: bool) -> NDArray[np.uint8]:
    rows: NDArray[np.uint8] = simplejpeg.decode_jpeg(
        data,
        "RGB" if len(header.components) == 3 else "GRAY",
        # Asking for the rounded-up size makes exactly this scale the smallest that libjpeg-turbo may choose.
        min_height=-(-header.height // scale),
        min_width=-(-header.width // scale),
        strict=strict,
    )
    if rows.shape[:2] != (-(-header.height // scale), -(-header.width // scale)):
        raise ValueError("the decoder chose another size than the header's")
    return rows


def _decode_by_pillow(
    data: bytes, header: JpegHeader, scale: int, scans: list[int], name: str
) -> tuple[Image.Image, tuple[str, ...]]:
    try:
        return _open_by_pillow(data, header, scale), ()
    except OSError as error:
        if "truncated" not in str(error):
            raise
    marks = _cut_marks(data, header, scans, lambda part: np.asarray(_open_by_pillow(part, header, scale)), name)
    return _open_by_pillow(data + _END, header, scale), marks


def _open_by_pillow(data: bytes, header: JpegHeader, scale: int) -> Image.Image:
    from PIL.JpegImagePlugin import JpegImageFile

    image = JpegImageFile(io.BytesIO(data))
    if image.size != (header.width, header.height):
        raise ValueError("two frame headers that contradict each other")
    image.draft(None, (max(1, header.width // scale), max(1, header.height // scale)))
    image.load()
    return image


def _cut_marks(
    data: bytes,
    header: JpegHeader,
    scans: list[int],
    decode: Callable[[bytes], NDArray[np.uint8]],
    name: str,
) -> tuple[str, ...]:
    """The marks of a photo whose data ends too early; CorruptPhoto where too little of it is there.

    The photo is decoded with two different continuations: the rows on which both agree come from the file.
    """
    if header.frame == 0xC2 and _is_coarsely_whole(data, header, scans):
        return ("cut off",)
    end = _MARKER_IN_DATA.search(data, scans[-1] + 2)
    body = data[: end.start() if end else len(data)].rstrip(b"\xff")
    one, other = decode(body + _END), decode(body + _NOISE + _END)
    differing = np.flatnonzero((one != other).reshape(len(one), -1).any(axis=1))
    if not len(differing):
        return ()
    share = int(differing[0]) / len(one)
    if share < LEAST_SHARE:
        raise CorruptPhoto(
            f"{printable(name)} is cut off: {share:.0%} of its rows are there, and at least {LEAST_SHARE:.0%} are "
            "needed; copy the file again."
        )
    return ("cut off",)


def _is_coarsely_whole(data: bytes, header: JpegHeader, scans: list[int]) -> bool:
    """Whether the finished scans of a progressive JPEG hold the mean of every block of every component."""
    seen: set[int] = set()
    bits = 0
    for at, following in pairwise(scans):
        count = data[at + 4]
        spectral_start = data[at + 5 + 2 * count]
        if spectral_start == 0:
            bits += 8 * (following - at)
            seen.update(data[at + 5 + 2 * index] for index in range(count))
    return bits >= header.blocks and seen.issuperset(identifier for identifier, _, _ in header.components)
