"""Text compared without case, accents or ligatures."""

from __future__ import annotations

import re
import unicodedata

import pyarrow as pa
import pyarrow.compute as pc

_LETTERS_BY_NAME = {"œ": "oe", "æ": "ae", "ø": "o", "ß": "ss", "ł": "l", "đ": "d"}
_LETTERS = str.maketrans(_LETTERS_BY_NAME)
"""Letters that are not a base letter with a mark, so that NFKD leaves them whole."""


def fold(text: str) -> str:
    """Fold a text for case- and accent-insensitive comparison.

    Compatibility decomposition, marks removed, case folded, ligatures and barred letters spelled out. Folding
    twice gives the same text.

    Parameters
    ----------
    text
        Any text, for instance ``"Cœur-de-Ville, ÉCOLE"``.

    Returns
    -------
    str
        For instance ``"coeur-de-ville, ecole"``.
    """
    # Case folding can compose anew (İ → i + dot) and decomposition can uncover capitals: decompose on both sides.
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    return "".join(c for c in folded if not unicodedata.combining(c)).translate(_LETTERS)


def fold_column(texts: pa.Array) -> pa.Array:
    """Fold a column of texts for comparison: as :func:`fold`, and other characters than letters and digits a blank.

    Ligatures apart, it is done by Arrow for all rows at once.
    """
    plain = pc.utf8_lower(pc.utf8_normalize(texts, form="NFKD"))
    for letter, letters in sorted(_LETTERS_BY_NAME.items()):
        plain = pc.replace_substring(plain, letter, letters)
    plain = pc.replace_substring_regex(plain, r"\p{M}+", "")
    return pc.utf8_trim_whitespace(pc.replace_substring_regex(plain, r"[^\p{L}\p{N}]+", " "))


def slug(text: str) -> str:
    """Spell a name as a key: folded, other characters a hyphen (``"Saint-Giniez 8ᵉ"``: ``saint-giniez-8e``)."""
    return re.sub(r"[^a-z0-9]+", "-", fold(text)).strip("-")
