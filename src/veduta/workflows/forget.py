"""Photos that somebody wants forgotten: removed from every collection, and the models that learnt from them marked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from veduta.datasets.forgotten import Forgotten, is_by
from veduta.datasets.passport import Visa, read_table, write_table
from veduta.datasets.search.found import Found
from veduta.errors import UsageError
from veduta.models.installing import mark_forgotten
from veduta.models.store import home
from veduta.whole_file import not_written
from veduta.workflows.collection import Collection, all_collections, collections_home
from veduta.workflows.teach import PASSPORT_TABLE

_REASON = "forgotten: on request"


@dataclass(frozen=True, slots=True)
class Removal:
    """``photos`` were removed from the collections of these names; ``models`` had learnt from some."""

    photos: int
    collections: tuple[str, ...]
    models: tuple[str, ...]


def forget(what: str) -> Removal:
    """Remove every photo of this address, page or author, mark what learnt from it, and never fetch it again.

    Of a passport's row the address stays, so that nothing fetches it; title and author go. Raises UsageError for
    nothing to forget, OutputError where something can't be removed.
    """
    if not what.strip():
        raise UsageError("nothing is named to be forgotten; give the address of a photo or of its page, or an author.")
    what = what.strip()
    Forgotten.read(collections_home()).add(what)
    removed = {collection.name: _remove(collection, what) for collection in all_collections()}
    models = tuple(sorted(_mark(what)))
    return Removal(sum(removed.values()), tuple(name for name, count in removed.items() if count), models)


def _remove(collection: Collection, what: str) -> int:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    with collection.passport() as passport:
        gone = [visa for visa in passport if is_by(visa.photo, what)]
        for visa in gone:
            _unlink(collection, visa)
        passport.add(_blank(visa, now) for visa in gone)
    return sum(bool(visa.file) for visa in gone)


def _unlink(collection: Collection, visa: Visa) -> None:
    if not visa.file:
        return
    file = collection.photos / visa.file
    jpeg = collection.jpegs / file.parent.name / f"{file.stem}.jpg"
    try:
        file.unlink(missing_ok=True)
        jpeg.unlink(missing_ok=True)
        # A look at dropped photos may show it.
        (collection.folder / "dropped.jpg").unlink(missing_ok=True)
    except OSError as error:
        raise not_written(file, error, "remove it yourself, then give the same command again") from error


def _blank(visa: Visa, now: str) -> Visa:
    photo = Found(visa.photo.url, visa.photo.provider, path=visa.photo.path)
    return Visa(visa.label, photo, failure=_REASON, seen=now)


def _mark(what: str) -> Iterator[str]:
    """The names of the models whose passport tells of such photos, each marked."""
    try:
        folders = [each for each in home().iterdir() if (each / PASSPORT_TABLE).is_file()]
    except OSError:  # no store yet
        return
    for folder in folders:
        rows = read_table(folder / PASSPORT_TABLE)
        mine = [row for row in rows if is_by(_found(row), what)]
        learnt = sum(bool(row["file"]) and not row["dropped"] and not row["failure"] for row in mine)
        if not mine:
            continue
        # Marked first: a kill in between may count a photo twice, and never leaves a model unmarked.
        if learnt:
            mark_forgotten(folder, learnt)
        for row in mine:
            row.update(page="", title="", author="", failure=_REASON, file="", sha256="", hash="")
        write_table(folder / PASSPORT_TABLE, rows)
        if learnt:
            yield folder.name


def _found(row: dict[str, str]) -> Found:
    return Found(row["url"], row["provider"], row["page"], row["title"], row["author"], path=row["path"])
