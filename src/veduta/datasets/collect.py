"""Photos of some names, fetched into a folder for each; a killed run goes on, and nothing is fetched twice."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from veduta.datasets.passport import Passport, Visa
from veduta.datasets.search.found import Found, Provider
from veduta.datasets.search.licences import Licences
from veduta.datasets.search.mix import search_all
from veduta.errors import FetchError, FetchLater, FetchTooSlow, PhotoError, UsageError
from veduta.images.decode import read_bytes
from veduta.images.fetch import Fetcher, FetchLimits
from veduta.images.formats import describe_unsupported, sniff
from veduta.images.limits import printable
from veduta.whole_file import write_whole

#: The passport's file in the folder of the photos.
PASSPORT = "passport.sqlite"
#: What one photo may cost.
LIMITS = FetchLimits(received_bytes=20 * 2**20, decoded_bytes=20 * 2**20, total_seconds=10.0, longest_wait=30.0)

_THREADS = 8
# After so many that could not be had for each that was wanted, the search is given up.
_PATIENCE = 4
# Names that Windows keeps for devices, whatever they end in.
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
_ENDINGS = {"JPEG": "jpg", "TIFF": "tif"}


@dataclass(frozen=True, slots=True)
class Name:
    """A class: ``label`` is its folder too, ``queries`` are searched for. Raises UsageError for no such label."""

    label: str
    queries: tuple[str, ...]

    def __post_init__(self) -> None:
        wrong = not self.label.strip() or self.label != self.label.strip() or len(self.label.encode()) > 100
        wrong = wrong or self.label.endswith(".") or bool(_DEVICES.fullmatch(self.label))
        if wrong or self.label.startswith(".") or set('/\\:*?"<>|') & set(self.label) or not self.label.isprintable():
            raise UsageError(
                f"the class {printable(self.label)!r} can't be a folder's name; give a plain word or two, and what to "
                "search for beside it."
            )


@dataclass(frozen=True, slots=True)
class Collected:
    """A visa for each photo of a class, in the order of the search; ``failures`` more photos could not be had."""

    label: str
    visas: tuple[Visa, ...]
    failures: int

    @property
    def photos(self) -> int:
        """How many are there."""
        return len(self.visas)


def collect(
    name: Name,
    providers: Sequence[Provider],
    wanted: Licences,
    out: Path,
    passport: Passport,
    fetcher: Fetcher,
    *,
    photos: int,
    unwanted: Callable[[Found], bool] = lambda _photo: False,
    note: Callable[[str], None] = lambda _words: None,
    on_photo: Callable[[int, int], None] = lambda _done, _all: None,
) -> Collected:
    """Fetch ``photos`` photos of ``name`` into ``out/label``, or as many as there are.

    Which they are depends on the answers alone: the first in the order of the search that can be had, whatever was
    fetched before a kill. What passed by itself, such as a busy server, is tried again by the next run.
    What is ``unwanted`` is passed over, as if no provider knew it. ``on_photo`` is told how many are there, and how
    many are wanted.
    Raises SearchError where no provider can be asked, OutputError where the photos can't be written.
    """
    found = search_all(providers, name.queries, wanted, fetcher, note=note)
    there: list[Visa] = []
    tried = 0
    pool = ThreadPoolExecutor(_THREADS)
    try:
        while len(there) < photos and tried < _PATIENCE * photos:
            # No more than are still missing, so that none is fetched that nobody needs.
            batch = list(islice((each for each in found if not unwanted(each)), photos - len(there)))
            if not batch:
                break
            tried += len(batch)
            known = [_standing(passport.visa(name.label, photo.place), out) for photo in batch]
            missing = iter(
                pool.map(
                    lambda photo: _fetched(name.label, photo, out, fetcher),
                    [photo for photo, visa in zip(batch, known, strict=True) if visa is None],
                )
            )
            for standing in known:
                visa = standing or next(missing)
                if visa is not None and standing is None:
                    passport.add([visa])
                if visa is not None and not visa.failure:
                    there.append(visa)
                on_photo(len(there), photos)
    finally:
        # Who interrupts it need not wait for hundreds of photos that were not begun.
        pool.shutdown(wait=True, cancel_futures=True)
    return Collected(name.label, tuple(there), tried - len(there))


def _standing(visa: Visa | None, out: Path) -> Visa | None:
    """The visa of a photo for which nothing is to be done: it is there, or can't be had."""
    return visa if visa is not None and (visa.failure or (out / visa.file).is_file()) else None


def _fetched(label: str, photo: Found, out: Path, fetcher: Fetcher) -> Visa | None:
    """What became of a photo; None where it may come another time."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    # By its address, so that one which a kill kept from the passport is found again.
    place = hashlib.sha256(photo.place.encode("utf-8", "backslashreplace")).hexdigest()[:20]
    whole = next((out / label).glob(f"{place}.*"), None)
    if whole is not None:
        digest = hashlib.sha256(whole.read_bytes()).hexdigest()
        return Visa(label, photo, file=f"{label}/{whole.name}", sha256=digest, seen=now)
    try:
        content = read_bytes(photo.path) if photo.path else fetcher.get(photo.url).content
    except (FetchError, PhotoError) as error:
        if isinstance(error, FetchLater | FetchTooSlow) or (isinstance(error, FetchError) and error.passing):
            return None
        return Visa(label, photo, failure=str(error), seen=now)
    kind = sniff(content)
    if kind is None:
        return Visa(label, photo, failure=f"it is {describe_unsupported(content)}, not a photo", seen=now)
    file = f"{label}/{place}.{_ENDINGS.get(kind, kind.lower())}"
    write_whole(out / file, content)
    return Visa(label, photo, file=file, sha256=hashlib.sha256(content).hexdigest(), seen=now)
