"""What an import may bring along, seen from a fresh interpreter."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("torch", "torchvision", "timm", "matplotlib", "pandas", "scipy", "pyarrow", "onnx", "sklearn")


def _loaded_by(statement: str) -> set[str]:
    code = f"{statement}; import sys; print('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in done.stdout.split()}


@pytest.mark.parametrize("module", ["veduta", "veduta.cli.main", "veduta.recognition.tagger", "veduta.jobs.pipeline"])
def test_the_way_of_a_photo_needs_none_of_the_heavy_libraries(module: str) -> None:
    assert not _loaded_by(f"import {module}").intersection(HEAVY)


def test_importing_veduta_loads_neither_numpy_nor_the_runtime() -> None:
    assert not _loaded_by("import veduta").intersection({"numpy", "PIL", "openvino", "rich", "typer"})


def test_the_client_loads_neither_the_http_library_nor_pillow_before_somebody_asks() -> None:
    assert not _loaded_by("import veduta; veduta.Client").intersection(
        {"httpx2", "httpcore2", "PIL", "numpy", "openvino"}
    )


def test_the_command_line_starts_without_the_runtime() -> None:
    assert not _loaded_by("import veduta.cli.main").intersection({"openvino", "onnxruntime"})


def test_the_public_names_are_these() -> None:
    import veduta

    records = ["LandmarkAnswer", "Prediction", "Score", "Tagger", "VedutaError", "__version__"]
    assert veduta.__all__ == ["Client", *records, "explain", "load", "load_landmarks", "train"]
    for name in veduta.__all__:
        assert getattr(veduta, name) is not None
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = veduta.no_such_name


def test_explain_stays_a_function_after_its_room_was_imported() -> None:
    import veduta
    import veduta.explanation.saliency

    assert callable(veduta.explain)


def test_the_bar_graph_is_there_by_the_name_that_is_documented() -> None:
    code = "import veduta; assert callable(veduta.reports.bars)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
