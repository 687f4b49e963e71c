"""Threads follow the CPUs of the process and the quota of its container."""

from __future__ import annotations

from pathlib import Path

import pytest

from veduta.errors import UsageError
from veduta.models import threads
from veduta.models.threads import available_threads, checked_threads


@pytest.fixture(autouse=True)
def sixteen_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "_cpus", lambda: 16)


def put(root: Path, path: str, text: str) -> None:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def test_without_control_groups_all_cpus_count(tmp_path: Path) -> None:
    assert available_threads(tmp_path) == 16


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("200000 100000\n", 2),
        ("250000 100000\n", 3),
        ("10000 100000\n", 1),
        ("9900000 100000\n", 16),
        ("max 100000\n", 16),
        ("", 16),
        ("5 0\n", 16),
    ],
)
def test_version_2_quotas_are_followed(tmp_path: Path, text: str, expected: int) -> None:
    put(tmp_path, "sys/fs/cgroup/cpu.max", text)
    put(tmp_path, "proc/self/cgroup", "0::/\n")
    assert available_threads(tmp_path) == expected


def test_a_group_above_may_allow_less(tmp_path: Path) -> None:
    put(tmp_path, "proc/self/cgroup", "0::/pod/box\n")
    put(tmp_path, "sys/fs/cgroup/pod/cpu.max", "300000 100000")
    put(tmp_path, "sys/fs/cgroup/pod/box/cpu.max", "800000 100000")
    assert available_threads(tmp_path) == 3


def test_a_group_told_by_the_host_s_path_leaves_the_mount(tmp_path: Path) -> None:
    put(tmp_path, "proc/self/cgroup", "0::/../../elsewhere\n")
    put(tmp_path, "sys/fs/cgroup/cpu.max", "400000 100000")
    assert available_threads(tmp_path) == 4


@pytest.mark.parametrize(("quota", "expected"), [("400000\n", 4), ("-1\n", 16)])
def test_version_1_quotas_are_followed(tmp_path: Path, quota: str, expected: int) -> None:
    put(tmp_path, "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", quota)
    put(tmp_path, "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n")
    assert available_threads(tmp_path) == expected


def test_a_number_asked_for_is_taken_and_none_means_all(tmp_path: Path) -> None:
    assert checked_threads(3) == 3
    assert 1 <= checked_threads(None) <= 16


def test_no_threads_at_all_is_refused() -> None:
    with pytest.raises(UsageError, match="threads"):
        checked_threads(0)
