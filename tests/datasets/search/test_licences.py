from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from veduta.datasets.search.licences import CODES, GROUPS, Licences, licence_code
from veduta.errors import UsageError


@pytest.mark.parametrize(
    ("told", "code"),
    [
        ("https://creativecommons.org/licenses/by-nc-sa/2.0/", "by-nc-sa"),
        ("http://creativecommons.org/licenses/by/4.0/deed.de", "by"),
        ("https://creativecommons.org/publicdomain/zero/1.0/", "cc0"),
        ("https://creativecommons.org/publicdomain/mark/1.0/", "pdm"),
        ("https://creativecommons.org/licenses/sampling/1.0/", "unknown"),
        ("CC BY-SA 4.0", "by-sa"),
        ("cc-by-nd-2.5", "by-nd"),
        ("CC BY 3.0 de", "by"),
        ("CC0", "cc0"),
        ("CC0 1.0", "cc0"),
        ("Public Domain Mark 1.0", "pdm"),
        ("Public domain", "public-domain"),
        ("No known  copyright restrictions", "public-domain"),
        ("All Rights Reserved", "all-rights-reserved"),
        ("Attribution-NonCommercial-NoDerivs License", "by-nc-nd"),
        ("Attribution License", "by"),
        ("GFDL", "unknown"),
        ("by the author, all rights reserved", "unknown"),
        ("CC BY-SA 4.0-3.0-2.5", "by-sa"),
        ("", "unknown"),
    ],
)
def test_a_licence_has_one_code_whatever_it_is_called(told: str, code: str) -> None:
    assert licence_code(told) == code


@given(st.text())
def test_whatever_is_told_has_a_code(told: str) -> None:
    assert licence_code(told) in CODES


def test_codes_and_groups_are_asked_for_together() -> None:
    wanted = Licences.read("CC0, by-nc")
    assert wanted.codes == {"cc0", "by-nc"}
    assert Licences.read("free,by-nc").codes == GROUPS["free"] | {"by-nc"}
    assert "unknown" in Licences()
    assert "unknown" not in Licences.read("creative-commons")
    with pytest.raises(UsageError, match="--licence 'mit' is unknown; give codes"):
        Licences.read("by,mit")
