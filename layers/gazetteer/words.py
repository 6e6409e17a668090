"""The normal form of a street's name: one spelling for what people write in many ways.

What counts is that the names of streets and the addresses go through the same function: an abbreviation that is
spelled out wrongly ("Cap" is a cape here, a captain there) is spelled out wrongly on both sides, and still matches.
The tables are in ``words.json``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Final

from layers.text import fold

_RAW = json.loads(resources.files("layers.gazetteer").joinpath("words.json").read_text(encoding="utf-8"))

PLURAL_WAYS: Final[dict[str, str]] = _RAW["plural_ways"]
SINGULAR_WAYS: Final[dict[str, str]] = {w: way for way, short in _RAW["ways"].items() for w in (way, *short)}
WAYS: Final[dict[str, str]] = SINGULAR_WAYS | PLURAL_WAYS
"""Type of way as written (folded) → its full form: ``bd`` → ``boulevard``."""
ARTICLES: Final[frozenset[str]] = frozenset(_RAW["articles"])
COMPLEMENTS: Final[frozenset[str]] = frozenset(_RAW["complements"])
"""Words that begin what an address says besides number and street: building, floor, residence."""
BEFORE_PLACES: Final[tuple[str, ...]] = tuple(sorted(_RAW["before_places"], key=len, reverse=True))
TOWNS: Final[frozenset[str]] = frozenset(_RAW["towns_with_arrondissements"])
ARRONDISSEMENT_CODES: Final[dict[str, str]] = _RAW["arrondissement_codes"]
"""Beginning of an arrondissement's INSEE code → of its postcode (132|06 → 130|06)."""
_WORDS: Final[dict[str, list[str]]] = {w: full.split() for w, full in _RAW["words"].items()}
_TITLES: Final[frozenset[str]] = frozenset(_RAW["titles"])

_APOSTROPHES = re.compile(r"[’'`ʼ‘´′]")
_ROUNDABOUT = re.compile(r"\b(?:ron[dt]|rd)[ -]?(?:point|pt)\b")
_TEENS = re.compile(r"\bdix[ -](sept|huit|neuf)\b")
_TEEN = {"sept": "17", "huit": "18", "neuf": "19"}
_ORDINAL_ENDING = re.compile(r"(?<=\d)(?:i?eme|nde?)$")
_TOKENS = re.compile(r"[^\W_]+|#|@")
_TWICE_ENCODED = ("Ã", "â€", "Å“")


@dataclass(frozen=True, slots=True)
class Phrase:
    """The name of a street in normal form: type of way (empty when none is written) and the other words."""

    way: str
    words: tuple[str, ...]

    @property
    def full(self) -> str:
        """The name with its articles."""
        return " ".join((self.way, *self.words))

    @property
    def words_without_articles(self) -> tuple[str, ...]:
        """The words that tell streets apart; articles stay where there is nothing else."""
        return tuple(w for w in self.words if w not in ARTICLES) or self.words

    @property
    def body(self) -> str:
        """The telling words in one: hyphens, blanks and articles do not count."""
        return "".join(self.words_without_articles)

    @property
    def untitled(self) -> str:
        """The body without titles (``docteur jean fiolle``: ``jeanfiolle``), unless one word were left.

        "Rue Rolland" and "rue du Commandant Rolland" are two streets in many a city.
        """
        words = [w for w in self.words_without_articles if w not in _TITLES]
        return "".join(words) if len(words) > 1 else self.body


def spelled(text: str) -> str:
    """Fold a text, part its apostrophes and repair UTF-8 that was read as Windows-1252.

    Returns
    -------
    str
        Lower case without accents; ``rond-point`` is one word, eighteen and its like are numbers.
    """
    text = fold(_APOSTROPHES.sub(" ", _repaired(text)))
    return _TEENS.sub(lambda m: _TEEN[m[1]], _ROUNDABOUT.sub("rondpoint", text))


def tokens(text: str) -> list[str]:
    """Words of a spelled text; ``#`` (a house number stood here) and ``@`` (a postcode did) are words too."""
    return _TOKENS.findall(text)


def phrase_of(words: Sequence[str]) -> Phrase:
    """Normal form of the words of a street's name, shape (n,): type of way in full, abbreviations spelled out."""
    start = 1 if len(words) > 2 and words[0] in ARTICLES and words[1] in WAYS else 0
    way = ""
    if len(words) > start and words[start] in WAYS:
        way, start = WAYS[words[start]], start + 1
    full: list[str] = []
    for word in words[start:]:
        full.extend(_WORDS.get(word) or [_ORDINAL_ENDING.sub("e", word)])
    return Phrase(way, tuple(full))


def phrase(name: str) -> Phrase:
    """Normal form of a street's name (``"Bd du Gal Leclerc"``: ``boulevard`` + ``du general leclerc``)."""
    return phrase_of(tokens(spelled(name)))


def _repaired(text: str) -> str:
    """Undo the reading of UTF-8 as Windows-1252 (``AllÃ©e``) where it can be undone."""
    if not any(sign in text for sign in _TWICE_ENCODED):
        return text
    try:
        return text.encode("cp1252").decode("utf-8")
    except UnicodeError:
        return text  # the signs were meant: the text is no UTF-8 read as Windows-1252
