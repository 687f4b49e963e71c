"""The names in five languages: no gaps, no collisions, the right script, nothing stray."""

from __future__ import annotations

import unicodedata
from collections import Counter
from importlib.resources import files

import pytest

from veduta.errors import UsageError
from veduta.labels import translations
from veduta.labels.categories import known_labels, places365
from veduta.labels.taxonomy import Taxonomy
from veduta.labels.translations import LANGUAGES, coarse_name, name_of, readable
from veduta.records import Label

#: Which letters a language is written in, by the first word of the character's Unicode name.
SCRIPTS = {"en": "LATIN", "de": "LATIN", "ru": "CYRILLIC", "pt": "LATIN", "zh": "CJK"}

#: Letters of the languages' own alphabets beyond the basic one; anything else is a slip of the keyboard.
LETTERS = {
    "en": "éèô",
    "de": "äöüßÄÖÜé",
    "ru": "ёЁ",
    "pt": "áâãàçéêíóôõúÁÂÃÀÇÉÊÍÓÔÕÚ",
    "zh": "",
}


def rows() -> list[list[str]]:
    text = files("veduta.labels").joinpath("data", "names.tsv").read_text(encoding="utf-8")
    return [line.split("\t") for line in text.removesuffix("\n").split("\n")]


def names(kind: str, language: str) -> list[str]:
    column = 2 + LANGUAGES.index(language)
    return [row[column] for row in rows() if row[0] == kind]


def test_the_table_has_the_five_languages_and_whole_rows() -> None:
    header, *body = rows()
    assert header == ["kind", "id", "en", "de", "ru", "pt", "zh"]
    assert [row for row in body if len(row) != 7] == []
    assert {row[0] for row in body} == {"scene", "coarse"}


def test_every_scene_and_every_coarse_label_has_one_row_and_nothing_else_has() -> None:
    scenes = [row[1] for row in rows() if row[0] == "scene"]
    coarse = [row[1] for row in rows() if row[0] == "coarse"]
    assert sorted(scenes) == sorted(label.id for label in known_labels())
    assert sorted(coarse) == sorted(Taxonomy.load().ids)


@pytest.mark.parametrize("kind", ["scene", "coarse"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_no_name_is_missing(kind: str, language: str) -> None:
    assert [row[1] for row in rows() if row[0] == kind and not row[2 + LANGUAGES.index(language)].strip()] == []


@pytest.mark.parametrize("kind", ["scene", "coarse"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_no_two_names_are_the_same(kind: str, language: str) -> None:
    counts = Counter(unicodedata.normalize("NFKC", name).casefold().replace("ё", "е") for name in names(kind, language))
    assert [name for name, count in counts.items() if count > 1] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_names_are_written_in_the_letters_of_their_language(language: str) -> None:
    strange = []
    for kind in ("scene", "coarse"):
        for name in names(kind, language):
            letters = [char for char in name if unicodedata.category(char).startswith("L")]
            scripts = {unicodedata.name(char).split()[0] for char in letters}
            beyond = {char for char in letters if not basic(char, language) and char not in LETTERS[language]}
            if scripts != {SCRIPTS[language]} or beyond:
                strange.append((name, scripts, beyond))
    assert strange == []


def basic(char: str, language: str) -> bool:
    if language == "zh":
        return "\u4e00" <= char <= "\u9fff"
    if language == "ru":
        return "а" <= char.lower() <= "я"
    return char.isascii()


@pytest.mark.parametrize("language", LANGUAGES)
def test_names_hold_no_stray_characters(language: str) -> None:
    stray = []
    for name in names("scene", language) + names("coarse", language):
        others = {char for char in name if not unicodedata.category(char).startswith("L")}
        allowed = set("（）、") if language == "zh" else set(" -(),'")
        composed = unicodedata.normalize("NFC", name) == name
        if others - allowed or not composed or name != " ".join(name.split()) or len(name) > 60:
            stray.append((name, others - allowed))
        if any(name.count(first) != name.count(last) for first, last in ("()", "（）")):
            stray.append((name, {"brackets"}))
    assert stray == []


def test_a_scene_has_its_name_in_each_language() -> None:
    kitchen = next(label for label in places365() if label.id == "kitchen")
    assert [name_of(kitchen, language).lower() for language in LANGUAGES] == [
        "kitchen",
        "küche",
        "кухня",
        "cozinha",
        "厨房",
    ]


def test_the_english_name_is_the_name_of_the_label() -> None:
    assert all(label.name == name_of(label, "en") for label in known_labels())


def test_a_label_that_is_no_scene_of_ours_keeps_its_own_name() -> None:
    assert [name_of(Label("tabby", "tabby cat"), language) for language in LANGUAGES] == ["tabby cat"] * 5
    # Matched by its id alone: the name of a foreign label may look like one of ours.
    assert name_of(Label("n03", "kitchen"), "de") == "kitchen"


def test_coarse_labels_have_names_and_made_up_ones_are_made_readable() -> None:
    assert coarse_name("forest", "de") == "Wald"
    assert coarse_name("nature", "pt").lower() == "natureza"
    assert coarse_name("our_places/2019", "zh") == "our places (2019)"


def test_a_scene_kept_as_its_own_coarse_label_has_the_name_of_the_scene() -> None:
    assert "hayfield" not in Taxonomy.load().ids
    assert coarse_name("hayfield", "ru") == name_of(Label("hayfield", "hayfield"), "ru") != "hayfield"


@pytest.mark.parametrize("language", ["fr", "", "EN", "de-DE"])
def test_an_unknown_language_is_refused_with_the_five(language: str) -> None:
    with pytest.raises(UsageError, match="choose one of en, de, ru, pt, zh"):
        name_of(Label("kitchen", "kitchen"), language)
    with pytest.raises(UsageError, match="choose one of en, de, ru, pt, zh"):
        coarse_name("forest", language)


@pytest.mark.parametrize(
    ("id", "words"),
    [
        ("airport_terminal", "airport terminal"),
        ("church/outdoor", "church (outdoor)"),
        ("a/b/c_d", "a (b, c d)"),
        ("/x", "x"),
        ("x/", "x"),
        ("/", "/"),
        ("_", "_"),
        ("kitchen", "kitchen"),
    ],
)
def test_an_id_is_made_readable(id: str, words: str) -> None:
    assert readable(id) == words


def test_the_table_is_read_once() -> None:
    assert translations._names() is translations._names()
