"""The page on bundles shows a model.json that loads."""

from __future__ import annotations

import re
from pathlib import Path

from veduta.models.description import read_description

PAGE = Path(__file__).parents[2] / "docs" / "bundles.md"


def test_the_example_on_the_page_is_a_model_json() -> None:
    (example,) = re.findall(r"```json\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    text = example.replace("<SHA-256, 64 hexadecimal digits>", "0" * 64)
    description = read_description(PAGE, text.encode())
    assert description.name == "two-rooms"
    assert description.heads[0].labels[1].coarse is None
