"""Coarse labels: the shipped taxonomy is a partition of all categories; a user's own is checked to the last word."""

from __future__ import annotations

import json
import pickle
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from veduta.errors import TaxonomyError
from veduta.labels import taxonomy as taxonomy_module
from veduta.labels.categories import known_labels, places100, places365
from veduta.labels.taxonomy import Taxonomy
from veduta.labels.taxonomy_file import CoarseLabel, parse
from veduta.records import Label

CATS = (Label("cat", "cat"), Label("dog", "dog"))


def made(text: str) -> Taxonomy:
    return Taxonomy(*parse(text, "mine.toml"), "mine.toml")


# --- the shipped taxonomy


def test_every_category_lies_in_exactly_one_coarse_label() -> None:
    shipped = Taxonomy.load()
    listed = [member for coarse in shipped.coarse_labels for member in coarse.members]
    assert len(listed) == 369
    assert sorted(listed) == sorted(label.id for label in known_labels())


def test_there_are_about_sixty_everyday_labels_in_eight_wider_ones() -> None:
    shipped = Taxonomy.load()
    assert 55 <= sum(bool(coarse.members) for coarse in shipped.coarse_labels) <= 70
    tops = [coarse.id for coarse in shipped.coarse_labels if coarse.parent is None]
    assert tops == ["nature", "city", "sights", "home", "shopping", "leisure", "travel", "work"]
    assert not {"other", "misc", "unknown"} & set(shipped.ids)


@pytest.mark.parametrize(
    ("fine", "coarse"),
    [
        ("bamboo_forest", "forest"),
        ("forest_path", "forest"),
        ("rainforest", "forest"),
        ("bar", "restaurant"),
        ("pub/indoor", "restaurant"),
        ("food_court", "restaurant"),
        ("kitchen", "kitchen"),
        ("abbey", "church"),
        ("monastery/outdoor", "church"),
        ("temple/east_asia", "temple"),
        ("track/outdoor", "sports_field"),
    ],
)
def test_a_category_lies_where_a_person_would_look_for_it(fine: str, coarse: str) -> None:
    assert Taxonomy.load().coarse_of(fine) == coarse


def test_coarse_labels_nest() -> None:
    shipped = Taxonomy.load()
    assert shipped.ancestors("forest") == ("nature",)
    assert shipped.ancestors("beach") == ("water", "nature")
    assert shipped.ancestors("nature") == ()
    assert {"wave", "creek", "marsh"} < set(shipped.members("water")) < set(shipped.members("nature"))
    assert shipped.members("waterfall") == ("waterfall",)


def test_both_lists_of_places_get_a_coarse_label_each() -> None:
    for labels in (places365(), places100()):
        applied = Taxonomy.load().apply(labels)
        assert all(label.coarse for label in applied)
        assert [label.id for label in applied] == [label.id for label in labels]
        assert [label.environment for label in applied] == [label.environment for label in labels]


def test_a_model_with_labels_that_the_shipped_taxonomy_does_not_know_has_no_coarse_labels() -> None:
    shipped = Taxonomy.load()
    assert shipped.apply(CATS) == CATS
    assert shipped.coarse_of("cat") is None
    # Even where some are known: coarse probabilities over a part would not add up.
    mixed = (*CATS, Label("kitchen", "kitchen"))
    assert shipped.apply(mixed) == mixed


def test_the_shipped_taxonomy_is_read_once_and_can_travel_between_processes() -> None:
    shipped = Taxonomy.load()
    assert Taxonomy.load() is shipped
    assert pickle.loads(pickle.dumps(shipped)) == shipped


def test_the_documentation_tells_each_coarse_label_and_how_many_it_holds() -> None:
    page = (Path(__file__).parents[2] / "docs" / "labels.md").read_text(encoding="utf-8")
    shipped = Taxonomy.load()
    told = dict(re.findall(r"`([a-z_]+)` (\d+)", page))
    assert told == {id: str(len(shipped.members(id))) for id in shipped.ids}


# --- a user's own


def test_the_example_of_the_documentation_works() -> None:
    page = (Path(__file__).parents[2] / "docs" / "labels.md").read_text(encoding="utf-8")
    mine = made(page.partition("```toml\n")[2].partition("```")[0])
    by_id = {label.id: label.coarse for label in mine.apply(places365())}
    assert (by_id["bar"], by_id["rainforest"], by_id["kitchen"]) == ("food", "woods", "kitchen")
    assert mine.ancestors("woods") == ("outside",)


def test_a_file_of_the_user_is_applied(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(
        b"\xef\xbb\xbf[pets]\r\n[cats]\r\nparent = 'pets'\r\nmembers = ['cat']\r\n[dogs]\r\nmembers = ['dog']\r\n"
    )
    mine = Taxonomy.load(path)
    assert [label.coarse for label in mine.apply(CATS)] == ["cats", "dogs"]
    assert mine.ids == ("pets", "cats", "dogs")
    assert mine.ancestors("cats") == ("pets",)


def test_unlisted_keep_makes_each_unlisted_label_its_own_coarse_label() -> None:
    mine = made("unlisted = 'keep'\n[wood]\nmembers = ['rainforest']")
    by_id = {label.id: label.coarse for label in mine.apply(places365())}
    assert by_id["rainforest"] == "wood"
    assert by_id["church/outdoor"] == "church/outdoor"
    assert mine.ancestors("church/outdoor") == ()


def test_unlisted_absent_leaves_a_foreign_model_alone() -> None:
    mine = made("unlisted = 'absent'\n[wood]\nmembers = ['rainforest']")
    assert mine.apply(CATS) == CATS
    own = (Label("cat", "cat", coarse="pets"),)
    assert mine.apply(own) == own


def test_an_unlisted_label_is_refused_unless_the_file_says_otherwise() -> None:
    mine = made("[wood]\nmembers = ['rainforest']")
    with pytest.raises(TaxonomyError) as caught:
        mine.apply(places365())
    told = str(caught.value)
    assert "mine.toml does not list 'airfield', 'airplane_cabin', 'airport_terminal' and 361 more" in told
    assert 'unlisted = "keep"' in told


def test_a_name_that_no_model_knows_is_refused_with_what_it_resembles() -> None:
    mine = made("unlisted = 'keep'\n[food]\nmembers = ['kichen', 'pantry']")
    with pytest.raises(TaxonomyError, match=r"mine.toml lists 'kichen', which no model knows; did you mean 'kitchen'"):
        mine.apply(places365())
    with pytest.raises(TaxonomyError, match=r"lists 'qqqq' and 'zzzz', which no model knows; correct or remove"):
        made("unlisted = 'keep'\n[a]\nmembers = ['qqqq', 'zzzz']").validate(places365())
    with pytest.raises(TaxonomyError, match=r"did you mean .*'church/outdoor'"):
        made("unlisted = 'keep'\n[a]\nmembers = ['church-outdoor']").validate(places365())


def test_a_name_is_known_by_the_model_by_places_or_by_another_model() -> None:
    mine = made("[pets]\nmembers = ['cat', 'dog']\n[food]\nmembers = ['kitchen']\n[birds]\nmembers = ['hen']")
    with pytest.raises(TaxonomyError, match="lists 'hen', which no model knows"):
        mine.apply(CATS)
    assert [label.coarse for label in mine.apply(CATS, others=[Label("hen", "hen")])] == ["pets", "pets"]


def test_a_coarse_label_may_have_the_id_of_a_fine_one_only_where_it_holds_it() -> None:
    made("[cat]\nmembers = ['cat', 'dog']").apply(CATS)
    made("[cat]\n[furry]\nparent = 'cat'\nmembers = ['cat', 'dog']").apply(CATS)
    with pytest.raises(TaxonomyError, match="'cat' is a coarse label and also a label of the model"):
        made("[cat]\nmembers = ['dog']\n[other]\nmembers = ['cat']")
    with pytest.raises(TaxonomyError, match="'cat' is a coarse label and also a label of the model"):
        made("unlisted = 'keep'\n[cat]\nmembers = ['dog']").apply(CATS)
    # A category of Places that this model does not have is no clash.
    made("[kitchen]\nmembers = ['cat', 'dog']").apply(CATS)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        pytest.param("", "no coarse labels; write a table", id="empty"),
        pytest.param("unlisted: keep\n", "not readable as TOML: Expected '='", id="YAML"),
        pytest.param("[a]\nmembers = ['x'\n", "not readable as TOML", id="list left open"),
        pytest.param("[a]\nmembers = ['x']\n[a]\nmembers = ['y']\n", "not readable as TOML", id="table twice"),
        pytest.param("a = " + "[" * 5000, "nested too deeply", id="nested too deeply"),
        pytest.param("a = " + "1" * 5000, "not readable as TOML", id="a number beyond reason"),
        pytest.param("a." * 101 + "b = 1", "more than 100 full stops", id="a dotted key beyond reason"),
        pytest.param("a\x00b = 1", "not readable as TOML", id="zero byte"),
        pytest.param(
            "unlisted = 'hide'\n[a]\nmembers = ['x']\n", "'unlisted' must be one of refuse, keep, absent", id="unlisted"
        ),
        pytest.param("[unlisted]\nmembers = ['x']\n", "'unlisted' must be one of", id="a label called unlisted"),
        pytest.param(
            "[a]\nmembers = ['x']\nunlisted = 'keep'\n",
            "'unlisted' stands in [a]; move it above",
            id="unlisted too low",
        ),
        pytest.param("a = ['x']\n", "'a' must be a table, which begins with the line [a]", id="no table"),
        pytest.param("[[a]]\nmembers = ['x']\n", "'a' must be a table", id="array of tables"),
        pytest.param(
            "[a]\nmember = ['x']\n", "the key 'member', which means nothing here; did you mean 'members'?", id="key"
        ),
        pytest.param(
            "[a]\nmembers = ['x']\ncolour = 1\n", "'colour', which means nothing here; known are", id="far key"
        ),
        pytest.param("[a]\nmembers = 'x'\n", "'a.members' must be a list of label ids, not 'x'", id="members as text"),
        pytest.param(
            "[a]\nmembers = ['x', 3]\n", "'a.members' must be a list of label ids", id="a number for a member"
        ),
        pytest.param(
            "[a]\nmembers = [' x']\n", "'a.members' must be a list of label ids", id="a space before a member"
        ),
        pytest.param("[a]\nmembers = ['x', 'y', 'x']\n", "[a] lists 'x' twice", id="member twice in one"),
        pytest.param("[a]\nmembers = ['x']\n[b]\nmembers = ['x']\n", "lists 'x' in [a] and in [b]", id="member in two"),
        pytest.param("[a]\nmembers = []\n", "[a] is empty; give it members", id="empty label"),
        pytest.param("[a]\nparent = 2\nmembers = ['x']\n", "'a.parent' must be the id", id="parent is a number"),
        pytest.param(
            "[a]\nparent = 'zz'\nmembers = ['x']\n", "parent 'zz', which has no table; add one", id="no such parent"
        ),
        pytest.param("[a]\nparent = 'a'\nmembers = ['x']\n", "parents in a circle: [a] in [a]", id="own parent"),
        pytest.param(
            "[c]\nparent='a'\nmembers=['x']\n[a]\nparent='b'\n[b]\nparent='a'\n",
            "in a circle: [a] in [b] in [a]",
            id="circle",
        ),
        pytest.param("['']\nmembers = ['x']\n", "the id '' must be 1 to 1000 printable", id="empty id"),
        pytest.param('["a\\nb"]\nmembers = ["x"]\n', r"the id 'a\nb' must be", id="line end within an id"),
    ],
)
def test_a_file_that_contradicts_itself_is_refused_with_a_sentence(text: str, sentence: str) -> None:
    with pytest.raises(TaxonomyError) as caught:
        made(text)
    told = str(caught.value)
    assert told.startswith("mine.toml")
    assert sentence in told
    assert told.isprintable()


def test_a_misspelt_parent_is_told_what_it_resembles() -> None:
    with pytest.raises(TaxonomyError, match="parent 'natur', which has no table; did you mean 'nature'"):
        made("[nature]\n[b]\nparent = 'nature'\nmembers = ['y']\n[a]\nparent = 'natur'\nmembers = ['x']\n")


def test_a_file_that_can_not_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "mine.toml"
    with pytest.raises(TaxonomyError, match=r"There is no file .*mine.toml"):
        Taxonomy.load(path)
    path.write_bytes("[Küche]\nmembers = ['kitchen']\n".encode("latin-1"))
    with pytest.raises(TaxonomyError, match="not UTF-8 at byte 2"):
        Taxonomy.load(path)
    monkeypatch.setattr(taxonomy_module, "MAX_TAXONOMY_BYTES", 10)
    with pytest.raises(TaxonomyError, match="larger than the limit of 10 bytes"):
        Taxonomy.load(path)
    with pytest.raises(TaxonomyError, match="is not a file"):
        Taxonomy.load(tmp_path)


def test_labels_given_twice_in_code_are_refused() -> None:
    with pytest.raises(TaxonomyError, match="has a coarse label twice"):
        Taxonomy((CoarseLabel("a", None, ("x",)), CoarseLabel("a", None, ("y",))))


# --- laws

words = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=8)


@st.composite
def partitions(draw: st.DrawFn) -> list[CoarseLabel]:
    """Any partition of any words, where each coarse label may lie in one that was made before it."""
    fine = draw(st.lists(words, min_size=1, max_size=20, unique=True))
    ids = draw(
        st.lists(words.filter(lambda id: id not in fine and id != "unlisted"), min_size=1, max_size=8, unique=True)
    )
    places = [draw(st.integers(0, len(ids) - 1)) for _ in fine]
    # No label stays empty: as many of the fine ones as there are coarse ones go one to each.
    ids = ids[: len(fine)]
    places = [index if index < len(ids) else place % len(ids) for index, place in enumerate(places)]
    parents = [draw(st.none() | st.sampled_from(ids[:index])) if index else None for index in range(len(ids))]
    return [
        CoarseLabel(id, parents[at], tuple(word for word, place in zip(fine, places, strict=True) if place == at))
        for at, id in enumerate(ids)
    ]


def as_toml(coarse_labels: list[CoarseLabel]) -> str:
    # A JSON string without surrogates is a TOML string; DEL, which only TOML forbids, is no printable character.
    lines = []
    for coarse in coarse_labels:
        lines.append(f"[{json.dumps(coarse.id, ensure_ascii=False)}]")
        if coarse.parent is not None:
            lines.append(f"parent = {json.dumps(coarse.parent, ensure_ascii=False)}")
        lines += ["members = [", *(f"{json.dumps(word, ensure_ascii=False)}," for word in coarse.members), "]"]
    return "\n".join(lines)


@given(partitions())
def test_any_partition_comes_back_from_its_file(coarse_labels: list[CoarseLabel]) -> None:
    mine = made(as_toml(coarse_labels))
    assert mine.coarse_labels == tuple(coarse_labels)
    labels = [Label(word, word) for coarse in coarse_labels for word in coarse.members]
    applied = mine.apply(labels)
    for coarse in coarse_labels:
        assert {label.id for label in applied if label.coarse == coarse.id} == set(coarse.members)
    tops = [coarse.id for coarse in coarse_labels if coarse.parent is None]
    assert sorted(word for top in tops for word in mine.members(top)) == sorted(label.id for label in labels)


@given(partitions())
def test_ancestors_end_and_never_hold_the_label_itself(coarse_labels: list[CoarseLabel]) -> None:
    mine = Taxonomy(tuple(coarse_labels))
    for id in mine.ids:
        ancestors = mine.ancestors(id)
        assert id not in ancestors
        assert len(set(ancestors)) == len(ancestors)
        assert all(set(mine.members(id)) <= set(mine.members(wider)) for wider in ancestors)
        if ancestors:
            assert mine.ancestors(ancestors[0]) == ancestors[1:]


@given(partitions(), st.data())
def test_a_circle_of_parents_is_always_found(coarse_labels: list[CoarseLabel], data: st.DataObject) -> None:
    mine = Taxonomy(tuple(coarse_labels))
    low = data.draw(st.sampled_from(mine.ids))
    high = (low, *mine.ancestors(low))[-1]
    circled = [CoarseLabel(c.id, low, c.members) if c.id == high else c for c in coarse_labels]
    with pytest.raises(TaxonomyError, match="in a circle"):
        Taxonomy(tuple(circled))


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes_are_a_taxonomy_or_a_sentence(data: bytes) -> None:
    told = ""
    try:
        made(data.decode("utf-8", "replace"))
    except TaxonomyError as error:
        told = str(error)
    assert told.isprintable()
