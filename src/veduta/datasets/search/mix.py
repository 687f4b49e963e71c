"""Several phrasings of a name at several providers, asked in turn, each photo given once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from veduta.datasets.search.found import Found, Provider
from veduta.datasets.search.licences import Licences
from veduta.errors import FetchError, SearchError, UsageError
from veduta.images.fetch import Fetcher


def search_all(
    providers: Sequence[Provider],
    queries: Sequence[str],
    wanted: Licences,
    fetcher: Fetcher,
    *,
    note: Callable[[str], None] = lambda _words: None,
) -> Iterator[Found]:
    """One photo of each provider and phrasing after the other, as long as any has more; no address or file twice.

    One that fails is told and left out from there on. Raises SearchError, with every reason, where all fail before any
    of them gave a photo.
    """
    asked = [(provider, query) for query in queries for provider in providers]
    running = [(provider.name, query, provider.search(query, wanted, fetcher)) for provider, query in asked]
    seen: set[str] = set()
    failures: list[str] = []
    while running:
        going = []
        for name, query, photos in running:
            try:
                photo = next((each for each in photos if each.place not in seen), None)
            except (SearchError, FetchError) as error:
                failures.append(f"{name}: {error}")
                note(f"{name} gives no more photos of {query!r}: {error}")
                continue
            if photo is not None:
                seen.add(photo.place)
                going.append((name, query, photos))
                yield photo
        running = going
    if failures and not seen and len(failures) == len(asked):
        raise SearchError(f"no provider could be asked. {' '.join(dict.fromkeys(failures))}")


def read_phrasings(asked: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """``cat=house cat,kitten`` to the phrasings of each name, in order.

    Raises UsageError for one without a name or a phrasing.
    """
    found: dict[str, tuple[str, ...]] = {}
    for text in asked:
        name, sign, phrasings = text.partition("=")
        each = tuple(dict.fromkeys(part.strip() for part in phrasings.split(",") if part.strip()))
        if not (name.strip() and sign and each):
            raise UsageError(
                f'--query {text!r} can\'t be meant; write a name and its phrasings: "cat=house cat,kitten".'
            )
        found[name.strip()] = (*found.get(name.strip(), ()), *each)
    return found
