"""What an address says: which phrases may be the street, whether a house number goes with it, which part of town.

An address is parted at commas, brackets, dashes and postcodes. Each part gives readings, the most faithful first: as
it stands, then without what trails behind the street (building, quarter, town), then as two streets that cross.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from layers.gazetteer.hints import ARRONDISSEMENT_WORDS, ORDINAL, Hints, hints_of_postcode, place_name
from layers.gazetteer.words import (
    ARTICLES,
    BEFORE_PLACES,
    COMPLEMENTS,
    PLURAL_WAYS,
    SINGULAR_WAYS,
    TOWNS,
    WAYS,
    Phrase,
    phrase_of,
    spelled,
    tokens,
)

_NUMBER = r"\d{1,4}(?:\s*(?:bis|ter|quater|quinquies|[a-h])\b)?"
_NUMBERS = rf"(?:\bn\s?[°o]?\s*|\bno\s+)?\b{_NUMBER}(?:\s*(?:-|/|,|&|\ba\b|\bet\b)\s*{_NUMBER})*"
LEADING_NUMBER = (
    r"(?i)^\s*(?:n\s?[°ºo]?\s*|no\s+)?\d{1,4}(?:\s*(?:bis|ter|quater|quinquies|[a-h])\b)?"
    r"(?:\s*(?:-|/|,|&|à|\ba\b|\bet\b)\s*\d{1,4}(?:\s*(?:bis|ter|quater|quinquies|[a-h])\b)?)*\s*[,-]?\s+"
)
"""House number at the start of an address as it is written (RE2 and Python): ``12``, ``n° 12 bis``, ``12-14``."""
NUMBERED = "# "
"""What replaces it, so that addresses of one street become one text."""

_WAY = "|".join(sorted(SINGULAR_WAYS, key=len, reverse=True))
_NUMBER_BEFORE_WAY = re.compile(rf"(?<![a-z#]\s)(?<!\d){_NUMBERS}\s*[,-]?\s*(?=(?:la\s)?(?:{_WAY})\b)")
_NUMBER_AFTER_WORD = re.compile(rf"(?<!\bdu)(?<!\bdes)(?<!\bde)(?<!\bles)\s+{_NUMBERS}\s*[,-]?\s*(?=(?:{_WAY})\b[.\s])")
_CEDEX = re.compile(r"(?<!\d)\d{5}\b[^,;|\d]*\bcedex\b(?:\s*\d{1,2}\b)?")
_POSTCODE = re.compile(r"(?<!\d)(?:\bf\s?-\s?)?(\d{5})(?!\d)")
_ARRONDISSEMENT = re.compile(
    rf"\b(\d{{1,2}})\s?(?:er|e|eme|ieme|nd)?\s(?:{'|'.join(sorted(ARRONDISSEMENT_WORDS))})\b\.?"
)
_DIGIT = re.compile(r"\d")
_BREAK = re.compile(r"[,;:()\[\]\n\r\t|«»\"]+|\s[-–—]+\s*|(?<=\S)[-–—]+\s|(?<=[a-z])[-–—](?=#)")
_CROSSING = re.compile(r"/|×|&|\bx\b|\bet\b|\+")
_BEFORE = re.compile(rf"^(?:{'|'.join(BEFORE_PLACES)})\b\s*(?:l\s)?")
_BEFORE_WORDS = frozenset(place.split()[0] for place in BEFORE_PLACES)
_SAYS_CROSSING = re.compile(r"\b(?:angle|coin|croisement|intersection)\b|×|\sx\s")
_LONGEST_QUARTER = 5


@dataclass(frozen=True, slots=True)
class Part:
    """One part of an address: readings as one street, and readings of each street where it may name several."""

    numbered: bool
    readings: tuple[Phrase, ...]
    pieces: tuple[Part, ...] = ()

    @property
    def has_way(self) -> bool:
        """Whether it says what type of way it means."""
        return any(r.way for r in self.readings)


@dataclass(frozen=True, slots=True)
class Address:
    """Parts of an address that may name a street, whether it speaks of a crossing, and which part of town it tells.

    ``whole`` is all parts in one: names of streets can hold dashes and brackets.
    """

    whole: Part
    parts: tuple[Part, ...]
    crossing: bool
    hints: Hints


def read_address(text: str, quarters: AbstractSet[str] = frozenset()) -> Address:
    """Read an address.

    Parameters
    ----------
    text
        The address; ``#`` in place of a house number.
    quarters
        Names of zones, each in one word (``hints.place_name``): they may trail behind a street.
    """
    text = spelled(text)
    hints = Hints()
    if _DIGIT.search(text):
        text, hints = _without_numbers(text)
    crossing = bool(_SAYS_CROSSING.search(text))
    parts: list[Part] = []
    pending = ""
    for piece in _turned(_BREAK.split(text)):
        if piece.strip() in {"#", ""}:
            pending = pending or piece.strip()
            continue
        part, told = _read_part(f"{pending} {piece}", quarters)
        hints |= told
        pending = ""
        if part is not None:
            parts.append(part)
    whole = Part("#" in text, (phrase_of(_words_of(text)),) if len(parts) > 1 else ())
    return Address(whole, tuple(parts), crossing, hints)


def _without_numbers(text: str) -> tuple[str, Hints]:
    """Put ``#`` for house numbers and ``@`` for postcodes; return what the postcodes tell."""
    hints = Hints()
    text = _CEDEX.sub("|", text)
    for match in _POSTCODE.finditer(text):
        hints |= hints_of_postcode(match[1])
    text = _POSTCODE.sub("|@ ", text)
    if _DIGIT.search(text):
        text = _NUMBER_AFTER_WORD.sub(" |# ", _NUMBER_BEFORE_WAY.sub(" |# ", text))
        for match in _ARRONDISSEMENT.finditer(text):
            hints |= Hints(numbers=frozenset({int(match[1])}))
        text = _ARRONDISSEMENT.sub("|", text)
    return text, hints


def _turned(pieces: list[str]) -> Iterator[str]:
    """Put the type of way before the name where it was written behind: ``rome (rue de)``."""
    kept: list[str] = []
    for piece in pieces:
        words = tokens(piece)
        only_way = bool(words) and words[0] in WAYS and all(w in ARTICLES for w in words[1:])
        if only_way and kept and "@" not in kept[-1]:
            before = kept[-1].lstrip()
            number = NUMBERED if before.startswith("#") else ""
            kept[-1] = f"{number}{piece} {before.removeprefix('#')}"
        else:
            kept.append(piece)
    yield from kept


def _read_part(piece: str, quarters: AbstractSet[str]) -> tuple[Part | None, Hints]:
    if "@" in piece:
        # What follows a postcode is its town, unless it is plainly a street.
        words = [w for w in tokens(piece) if w != "@"]
        if not any(w in WAYS and w not in ARTICLES for w in words[:1]):
            return None, _trailing(words, quarters)[1]
    streets = [s for s in _CROSSING.split(piece) if tokens(s)]
    words = _words_of(piece)
    readings, hints = _readings(words, quarters)
    if words and words[0] in COMPLEMENTS:
        hints = Hints(names=hints.names)  # "apt 3e" is no arrondissement
    pieces: tuple[Part, ...] = ()
    if len(streets) > 1:
        way = PLURAL_WAYS.get(_words_of(streets[0])[0], "") if _words_of(streets[0]) else ""
        read = [_piece(s, way, quarters) for s in streets]
        pieces = tuple(p for p, _ in read)
        for _, told in read:
            hints |= told
    if not readings and not pieces:
        return None, hints
    return Part("#" in tokens(piece), readings, pieces), hints


def _piece(text: str, way: str, quarters: AbstractSet[str]) -> tuple[Part, Hints]:
    """Read one of several streets; ``way`` is the type that was said once for all (``rues A et B``)."""
    words = _words_of(text)
    if way and words and words[0] not in WAYS:
        words = [way, *words]
    readings, hints = _readings(words, quarters)
    return Part("#" in tokens(text), readings), hints


def _words_of(text: str) -> list[str]:
    words = [w for w in tokens(text) if w not in {"#", "@"}]
    if words and words[0] in _BEFORE_WORDS:
        words = _BEFORE.sub("", " ".join(words)).split()
    return words


def _readings(words: list[str], quarters: AbstractSet[str]) -> tuple[tuple[Phrase, ...], Hints]:
    """Return the phrases that may be the street, most faithful first, and what trails behind it tells."""
    if not words:
        return (), Hints()
    bare, hints = _trailing(words, quarters)
    candidates = [words, bare, _without_complement(bare), _after_complement(words), _after_complement(bare)]
    telling = dict.fromkeys(tuple(c) for c in candidates if c and c[-1] not in ARTICLES)
    read = dict.fromkeys(phrase_of(c) for c in telling)
    if not bare and place_name(words) in quarters:
        hints |= Hints(names=frozenset({place_name(words)}))
    return tuple(p for p in read if p.words), hints


def _trailing(words: list[str], quarters: AbstractSet[str]) -> tuple[list[str], Hints]:
    """Cut town, arrondissement and quarter off the end."""
    hints = Hints()
    end = len(words)
    while end:
        word = words[end - 1]
        ordinal = ORDINAL.match(word)
        in_town = end > 1 and words[end - 2] in TOWNS
        # "1er" alone is more often a king's: "rue Albert 1er".
        number = (ordinal and (in_town or ordinal[1] != "1")) or (in_town and word.isdigit() and len(word) <= 2)
        quarter = 0 if number or word in TOWNS or word in ARRONDISSEMENT_WORDS else _quarter(words[:end], quarters)
        left = end - (quarter or 1)
        # "Rue de Lyon" and "place du 8e" end in a name, not in a town.
        if left and (words[left - 1] in ARTICLES or (left == 1 and words[0] in WAYS)):
            break
        if number:
            hints |= Hints(numbers=frozenset({int(ordinal[1] if ordinal else word)}))
        elif quarter:
            hints |= Hints(names=frozenset({place_name(words[left:end])}))
        elif word not in TOWNS and word not in ARRONDISSEMENT_WORDS:
            break
        end = left
    return words[:end], hints


def _quarter(words: list[str], quarters: AbstractSet[str]) -> int:
    """How many words at the end name a quarter: the most that do, 0 if none."""
    if not quarters:
        return 0
    for size in range(min(_LONGEST_QUARTER, len(words)), 0, -1):
        if place_name(words[-size:]) in quarters:
            return size
    return 0


def _without_complement(words: list[str]) -> list[str]:
    """Cut from the word that begins a complement, unless it belongs to the name (``rue de la residence``)."""
    for at in range(2, len(words)):
        # "bat3" is a building too.
        if words[at].rstrip("0123456789") in COMPLEMENTS and words[at - 1] not in ARTICLES:
            return words[:at]
    return words


def _after_complement(words: list[str]) -> list[str]:
    """Start at the type of way where a complement comes first (``villa emma avenue salzmann``)."""
    if words and words[0] in COMPLEMENTS:
        for at in range(1, len(words) - 1):
            if words[at] in WAYS and words[at] not in COMPLEMENTS and words[at - 1] not in ARTICLES:
                return _without_complement(words[at:])
    return []
