from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layers.text import fold, slug


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("Cœur de ville", "coeur de ville"),
        ("ÉCOLE Élémentaire", "ecole elementaire"),
        ("Łódź", "lodz"),
        ("Straße", "strasse"),
        ("ÆØÅ", "aeoa"),
        ("Đà Nẵng", "da nang"),
        ("ﬁn 8ᵉ", "fin 8e"),
    ],
)
def test_known_letters(text: str, folded: str):
    assert fold(text) == folded


@given(st.text())
def test_folding_twice_changes_nothing_and_case_never_matters(text: str):
    assert fold(fold(text)) == fold(text)
    assert fold(text.swapcase()) == fold(text.swapcase().swapcase().swapcase())


@given(st.text())
def test_slugs_are_keys(text: str):
    assert set(slug(text)) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert slug(slug(text)) == slug(text)


def test_slug_of_a_neighbourhood():
    assert slug("Waterfront Communities-The Island (8ᵉ)") == "waterfront-communities-the-island-8e"
