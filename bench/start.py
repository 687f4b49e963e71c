"""How long until the first answer, what an import costs, and how much an installation weighs."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from bench.default_model import default_model
from bench.photos import SMALL, made
from bench.report import Report, Table, Verdict
from bench.settings import ROOT, Settings, middle

_MOST_SECONDS, _MOST_IMPORT, _MOST_MEGABYTES = 1.0, 0.150, 350
#: What a base install must not bring.
_ABSENT = ("torch", "scipy", "pyarrow", "pandas", "matplotlib")


def run(settings: Settings) -> Report:
    """Measure commands in fresh processes, each with a fresh ledger."""
    report = Report("start")
    _commands(report, settings)
    _import(report, settings.scale.starts)
    _size(report)
    return report


def _commands(report: Report, settings: Settings) -> None:
    photo = made(SMALL, 1, settings.photos)[0]
    model = default_model(settings)
    veduta = str(Path(sys.executable).with_name("veduta"))
    tag = [veduta, "tag", str(photo.resolve()), "--model", str(model.resolve())]
    with tempfile.TemporaryDirectory() as folder:
        ways = {
            "veduta tag one.jpg, new ledger": ["--ledger", "{run}"],
            "veduta tag one.jpg, --no-ledger": ["--no-ledger"],
            "veduta tag one.jpg, answer in the ledger": ["--ledger", "known"],
        }
        rows = []
        for name, ledger in ways.items():
            seconds = []
            # The first fills the file cache and the known ledger, and is not counted.
            for number in range(settings.scale.starts + 1):
                command = [*tag, *(word.format(run=number) for word in ledger)]
                seconds.append(_seconds(command, Path(folder)))
            seconds = seconds[1:]
            rows.append((name, f"{middle(seconds):.2f} s", f"{min(seconds):.2f} s", str(len(seconds))))
            report.figures[name] = seconds
            median = middle(seconds)
            report.verdicts.append(Verdict(name, "≤ 1.0 s", f"{median:.2f} s", median <= _MOST_SECONDS))
    report.tables.append(Table("Start", ("command", "median", "fastest", "runs"), rows, f"Model {model.name}."))


def _import(report: Report, runs: int) -> None:
    """Of ``import veduta`` itself, without the interpreter's own start."""
    code = "import time; t = time.perf_counter(); import veduta; print(time.perf_counter() - t)"
    seconds = [
        float(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout)
        for _ in range(runs + 1)
    ][1:]
    median = middle(seconds)
    report.figures["import veduta"] = seconds
    report.verdicts.append(Verdict("import veduta", "≤ 150 ms", f"{1e3 * median:.0f} ms", median <= _MOST_IMPORT))


def _size(report: Report) -> None:
    """The files of everything that a base install brings, by the records of the installer; no extra is followed."""
    sizes = {name: _bytes_of(name) / 1e6 for name in base_install()}
    total = sum(sizes.values())
    found = [name for name in _ABSENT if name in sizes]
    report.figures["base install, MB"] = {name: round(size, 2) for name, size in sizes.items()}
    largest = sorted(sizes.items(), key=lambda item: -item[1])
    rows = [(name, metadata.version(name), f"{size:.1f} MB") for name, size in largest if size >= 1]
    rows.append(("all", f"{len(sizes)} packages", f"{total:.0f} MB"))
    report.tables.append(Table("Base install", ("package", "version", "size"), rows))
    report.verdicts += [
        Verdict("base install", "≤ 350 MB", f"{total:.0f} MB", total <= _MOST_MEGABYTES),
        Verdict("base install without torch, scipy, pyarrow", "absent", ", ".join(found) or "absent", not found),
    ]


def base_install(name: str = "veduta") -> list[str]:
    """The package and all that it requires, directly or not, here and without extras."""
    seen: list[str] = []
    waiting = [Requirement(name)]
    while waiting:
        requirement = waiting.pop()
        package = canonicalize_name(requirement.name)
        if package in seen:
            continue
        seen.append(package)
        for line in metadata.requires(package) or ():
            needed = Requirement(line)
            if needed.marker is None or needed.marker.evaluate({"extra": ""}):
                waiting.append(needed)
    return sorted(seen)


def _bytes_of(package: str) -> int:
    """The files of an installed package; of Veduta itself, which lies here as source, its folder."""
    if package == "veduta":
        folder = ROOT / "src" / "veduta"
        return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file() and file.suffix != ".pyc")
    paths = [Path(str(file.locate())) for file in metadata.files(package) or ()]
    return sum(path.stat().st_size for path in paths if path.is_file())


def _seconds(command: Sequence[str], folder: Path) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, cwd=folder)
    return time.perf_counter() - began
