"""Photos that a model was wrong about, as cards: the photo, the same under its heat map, what was said and is true."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from veduta.evaluation.mistakes import Example, LabelExamples, Mistake
from veduta.reports.markup import path_text, text
from veduta.reports.photo_pictures import Pictures

_BLANK = '<span class="blank">no picture</span>'


def mistake_cards(mistakes: Sequence[Mistake], pictures: dict[tuple[str, int], Pictures]) -> str:
    """A card for each mistake, in their order."""
    cards = "\n".join(_mistake(each, pictures[each.path, each.explained]) for each in mistakes)
    return f'<div class="grid">\n{cards}\n</div>'


def label_cards(examples: LabelExamples, place: int, pictures: dict[tuple[str, int], Pictures]) -> str:
    """The photos of a label, ``place`` among the model's: those that have it and those that lack it."""
    name, parts = examples.figure.label.name, []
    for title, photos, has in (
        (f"Have {name}, and were given least for it", examples.have, True),
        (f"Lack {name}, and were given most for it", examples.lack, False),
    ):
        cards = "\n".join(_example(each, name, pictures[each.path, place], has=has) for each in photos)
        if cards:
            parts.append(f'<h4>{text(title)}</h4>\n<div class="grid">\n{cards}\n</div>')
    return "\n".join(parts)


def _mistake(mistake: Mistake, pictures: Pictures) -> str:
    return f"""<article class="card">
  {_pair(pictures)}
  <div class="text">
    <h3><span class="wrong">{text(mistake.said.name)}</span> <b>{mistake.said_probability:.0%}</b></h3>
    <p class="truth"><span>is <b>{text(mistake.true.name)}</b></span>
      <small>{mistake.true_probability:.1%}, place {mistake.rank:,}</small></p>
    {_file(mistake.path)}
  </div>
</article>"""


def _example(example: Example, name: str, pictures: Pictures, *, has: bool) -> str:
    others = ", ".join(text(label.name) for label in example.labels) or "no label"
    kind = "" if has else ' class="wrong"'
    return f"""<article class="card">
  {_pair(pictures)}
  <div class="text">
    <h3><span{kind}>{text(name)}</span> <b>{example.probability:.1%}</b></h3>
    <p class="truth"><span>has <b>{others}</b></span></p>
    {_file(example.path)}
  </div>
</article>"""


def _pair(pictures: Pictures) -> str:
    """The photo, and beside it the same under its heat map."""
    if pictures.thumbnail is None:
        return f'<div class="pair"><span class="thumb">{_BLANK}</span></div>'
    photo = f'<img src="{pictures.thumbnail}" alt="" loading="lazy">'
    heat = f'<img class="heat" src="{pictures.heat}" alt="where that comes from" loading="lazy">'
    return f'<div class="pair"><span class="thumb">{photo}</span><span class="thumb heated">{photo}{heat}</span></div>'


def _file(path: str) -> str:
    return f'<p class="file" dir="auto" title="{path_text(path)}">{path_text(Path(path).name)}</p>'
