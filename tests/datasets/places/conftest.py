from __future__ import annotations

from collections.abc import Iterator

import pytest

from veduta.images.fetch import Fetcher, Politeness

from .services import PlacesServices


@pytest.fixture
def services() -> Iterator[PlacesServices]:
    """Providers of places on loopback."""
    made = PlacesServices()
    yield made
    made.close()


@pytest.fixture
def fetcher(services: PlacesServices) -> Iterator[Fetcher]:
    """The one who may ask them."""
    with Fetcher(allow_loopback=True, ports={services.port}, politeness=Politeness(interval_seconds=0)) as made:
        yield made
