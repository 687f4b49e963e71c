from __future__ import annotations

from collections.abc import Iterator

import pytest

from veduta.images.fetch import Fetcher, Politeness

from .services import Services


@pytest.fixture
def services() -> Iterator[Services]:
    """Providers on loopback."""
    made = Services()
    yield made
    made.close()


@pytest.fixture
def fetcher(services: Services) -> Iterator[Fetcher]:
    """The one who may ask them."""
    with Fetcher(allow_loopback=True, ports={services.port}, politeness=Politeness(interval_seconds=0)) as made:
        yield made
