"""64 clients at once, and requests of all kinds for long: no errors, and nothing that grows. Times are printed."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from .conftest import photo

pytestmark = pytest.mark.alone

ROOT = Path(__file__).parents[2]


class Bench:
    """The parts of the benchmarks that make a load."""

    def __init__(self) -> None:
        self.served: ModuleType = importlib.import_module("bench.served")
        self.serving: ModuleType = importlib.import_module("bench.serving")
        self.soak: ModuleType = importlib.import_module("bench.soak")
        self.load_client: ModuleType = importlib.import_module("bench.load_client")


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.syspath_prepend(str(ROOT))
    return Bench()


@pytest.fixture(scope="session")
def photos() -> list[bytes]:
    return [photo(640 + number, 480) for number in range(16)]


@pytest.mark.parametrize("seconds", [15, pytest.param(600, marks=pytest.mark.slow)])
def test_64_clients_get_answers_or_the_queues_503(
    bench: Bench, photos: list[bytes], bare_home: Path, seconds: int
) -> None:
    with bench.served.served(bare_home, queue=32) as server:
        load: Any = bench.serving.under_load(server, photos, seconds, "?attributes=false")
        outcome = load.outcome
        assert not outcome.faults
        assert set(outcome.statuses) <= {200, 503}
        assert outcome.statuses[200] > 100
        share = bench.load_client.share
        late, refused = share(outcome.accepted, 0.99), 1000 * share(outcome.refused, 0.99)
        print(
            f"{seconds} s: {len(outcome.accepted) / outcome.seconds:.0f} photos/s, {dict(outcome.statuses)},"
            f" accepted p99 {late:.2f} s, refused p99 {refused:.0f} ms, "
            f"{load.cpu_per_photo:.1f} ms CPU a photo, memory {load.growth:+.1%}"
        )
        assert load.after.descriptors <= load.before.descriptors + 4
        assert load.after.threads <= load.before.threads + 4
        assert server.stop() == 0


@pytest.mark.parametrize("count", [120, pytest.param(20_000, marks=pytest.mark.slow)])
def test_a_soak_of_models_that_come_and_go_leaves_nothing_behind(
    bench: Bench, photos: list[bytes], tmp_path: Path, shared_weights: Path, count: int
) -> None:
    models = bench.soak.make_store(tmp_path / "home")
    with bench.served.served(tmp_path / "home", memory_mb=bench.soak.MEMORY_MB) as server:
        samples, statuses = bench.soak.soak(server, photos, models, count, 10)
    assert set(statuses) == {200}
    settled = samples[3:]
    growth = bench.soak.slope_share([each.pss for each in settled])
    print(
        f"{count} requests: {samples[0].pss / 1e6:.0f} MB, then {samples[-1].pss / 1e6:.0f} MB ({growth:+.1%}),"
        f" descriptors {[each.descriptors for each in samples]}, threads {[each.threads for each in samples]}"
    )
    assert max(each.descriptors for each in settled) <= settled[0].descriptors + 6
    assert max(each.threads for each in settled) <= settled[0].threads + 6
