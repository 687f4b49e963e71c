"""The 102 attributes of the SUN Attribute database: what a place is made of, lit by, good for, and how it feels.

The list is that of Patterson et al. 2014, "The SUN Attribute Database: Beyond Categories for Deeper Scene
Understanding", in its own order. Names are English alone; the database says nothing in other languages.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from veduta.records import Label


@cache
def sun_attributes() -> tuple[Label, ...]:
    """The 102 attributes, in the order of ``data/sun_attributes.txt``; an id is its name with ``_`` for a space."""
    text = files("veduta.labels").joinpath("data", "sun_attributes.txt").read_text(encoding="utf-8")
    return tuple(Label(name.replace(" ", "_"), name) for name in text.splitlines())
