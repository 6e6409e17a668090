"""Which part of the city an address or a zone means: postcodes, numbers of arrondissements, names of quarters.

INSEE codes of arrondissements (13206, 75106, 69386) and their postcodes (13006, 75006, 69006) follow one another:
INSEE, Code officiel géographique; La Poste, Base officielle des codes postaux.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from layers.gazetteer.words import ARRONDISSEMENT_CODES, TOWNS, phrase_of, spelled, tokens

_FIVE_DIGITS = re.compile(r"(?<!\d)\d{5}(?!\d)")
ORDINAL = re.compile(r"^(\d{1,2})(?:er|e|eme|ieme|nd|nde)$")
ARRONDISSEMENT_WORDS = frozenset({"ardt", "arrdt", "arrt", "arr", "ar", "arrond", "arrondissement"})


@dataclass(frozen=True, slots=True)
class Hints:
    """Postcodes, numbers of arrondissements and names (telling words in one, as in ``Phrase.body``)."""

    postcodes: frozenset[str] = field(default_factory=frozenset)
    numbers: frozenset[int] = field(default_factory=frozenset)
    names: frozenset[str] = field(default_factory=frozenset)

    def __or__(self, other: Hints) -> Hints:
        return Hints(self.postcodes | other.postcodes, self.numbers | other.numbers, self.names | other.names)

    def contradict(self, street: Hints, known: Hints) -> bool:
        """Whether an address with these hints cannot mean a street with those.

        ``known`` are the hints of all streets: a postcode says nothing where no zone has one. Names contradict
        nothing, because the borders of quarters are a matter of opinion.
        """
        if self.postcodes and known.postcodes and not self.postcodes & street.postcodes:
            return True
        return bool(self.numbers and known.numbers and not self.numbers & street.numbers)


def hints_of_postcode(postcode: str) -> Hints:
    """Hints of a postcode; those of arrondissements tell their number too."""
    known = postcode.startswith(tuple(ARRONDISSEMENT_CODES.values()))
    return Hints(frozenset({postcode}), frozenset({int(postcode[-2:])} if known else ()))


def hints_of_zone(level: str, value: str) -> Hints:
    """Hints that a zone's key or name gives.

    Parameters
    ----------
    level
        Id of the zone level. Five digits are a postcode where it says so (``code_postal``, ``arrondissements``), and
        wherever they are the INSEE code of an arrondissement; other INSEE codes are no postcodes.
    value
        For instance ``13201-belsunce``, ``Marseille 6e arrondissement``, ``13006``.
    """
    found = Hints()
    text = spelled(value)
    for code in _FIVE_DIGITS.findall(text):
        for insee, postal in ARRONDISSEMENT_CODES.items():
            if code.startswith(insee):
                found |= hints_of_postcode(postal + code[len(insee) :])
        if "post" in level or "arrondissement" in level:
            found |= hints_of_postcode(code)
    words = []
    for word in tokens(_FIVE_DIGITS.sub(" ", text)):
        ordinal = ORDINAL.match(word)
        if ordinal:
            found |= Hints(numbers=frozenset({int(ordinal[1])}))
        elif word not in TOWNS and word not in ARRONDISSEMENT_WORDS and not word.isdigit():
            words.append(word)
    if words:
        found |= Hints(names=frozenset({place_name(words)}))
    return found


def place_name(words: Sequence[str]) -> str:
    """The name of a quarter in one word, without articles."""
    read = phrase_of(words)
    return read.way + read.body
