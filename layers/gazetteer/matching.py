"""Phrases matched with the names of streets: exactly, by their telling words, then with a slip of the pen or two.

A slip is one letter more, less, other or exchanged with its neighbour (optimal string alignment: Damerau, CACM 7, 1964,
without overlapping edits). A name is taken for another only if it is long enough for the slip to be one, every word
begins alike and is nearly the same, no word that was changed is known from another street, and no other street of that
type comes near: "rue Marin" is no slip for "rue Martin", nor "rue des Saules" for "rue des Sables" if saules are known.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import numpy as np
from rapidfuzz.distance import OSA
from rapidfuzz.process import cdist

from layers.gazetteer.streets import Street
from layers.gazetteer.words import Phrase

MOST_SLIPS = 2
MARGIN = 2
"""The second best street must be at least this many slips farther than the best."""
LEAST_LETTERS, ONE_SLIP_LETTERS, TWO_SLIPS_LETTERS = 6, 9, 14
"""Letters that a name must have, blanks not counted: for a doubled letter, for any one slip, for two."""
_WORD_ONE_SLIP_LETTERS, _WORD_TWO_SLIPS_LETTERS = 5, 9
_AT_ONCE = 2048
"""Phrases compared at once with all names of a type: bounds the memory, not the result."""

_DOUBLED = re.compile(r"(.)\1+")

Slips = Mapping[Phrase, Phrase]


@dataclass(frozen=True, slots=True)
class StreetNames:
    """The names of streets, by ever looser forms; values are the streets that bear them, in order."""

    full: dict[str, list[int]]
    telling: dict[tuple[str, str], list[int]]
    untitled: dict[tuple[str, str], list[int]]
    bodies: dict[str, list[int]]
    phrases: dict[str, dict[str, Phrase]]
    """Type of way → telling words, a blank between them → a phrase that has them; type ``*`` stands for any."""
    words: AbstractSet[str]
    """Every telling word of every name: such a word is no slip for another."""

    @classmethod
    def of(cls, streets: Iterable[Street]) -> StreetNames:
        """Index the names of streets."""
        words: set[str] = set()
        names = cls({}, {}, {}, {}, {}, words)
        for number, street in enumerate(streets):
            for name in sorted(street.names, key=lambda n: n.full):
                _put(names.full, name.full, number)
                _put(names.telling, (name.way, name.body), number)
                _put(names.untitled, (name.way, name.untitled), number)
                _put(names.bodies, name.body, number)
                words.update(name.words_without_articles)
                for way in (name.way, "*"):
                    names.phrases.setdefault(way, {}).setdefault(_spaced(name), name)
        return names

    def find(self, phrase: Phrase, *, numbered: bool, slips: Slips) -> Sequence[int]:
        """Streets that a phrase may mean, by the strictest form that any street has; empty where none does.

        A type of way that is written counts: "rue" is never taken for "impasse". Where none is written, a house
        number must show that a street is meant and no quarter.
        """
        found = self._exact(phrase, numbered=numbered)
        if not found and phrase in slips:
            return self._exact(slips[phrase], numbered=numbered)
        return found

    def _exact(self, phrase: Phrase, *, numbered: bool) -> Sequence[int]:
        way, body = phrase.way, phrase.body
        found = self.full.get(phrase.full) or self.telling.get((way, body))
        if found:
            return found
        if way:
            return self.untitled.get((way, phrase.untitled)) or self.telling.get(("", body)) or ()
        return (self.bodies.get(body) or ()) if numbered else ()

    def slips_of(self, phrases: Iterable[Phrase]) -> dict[Phrase, Phrase]:
        """Names that phrases mean in spite of slips; only phrases that mean one name without doubt are in it."""
        by_way: dict[str, dict[str, list[Phrase]]] = {}
        for phrase in dict.fromkeys(phrases):
            if len(phrase.body) >= LEAST_LETTERS:
                by_way.setdefault(phrase.way or "*", {}).setdefault(_spaced(phrase), []).append(phrase)
        meant: dict[Phrase, Phrase] = {}
        for way, written in by_way.items():
            known = self.phrases.get(way, {})
            texts = sorted(written)
            for start in range(0, len(texts) if known else 0, _AT_ONCE):
                for text, name in self._nearest(texts[start : start + _AT_ONCE], list(known)):
                    meant.update({p: Phrase(p.way, known[name].words) for p in written[text]})
        return meant

    def _nearest(self, texts: list[str], names: list[str]) -> Iterator[tuple[str, str]]:
        """Texts and the one name that each is a slip for."""
        # One more than what is looked for: the second best decides whether the best stands out.
        cutoff = MOST_SLIPS + MARGIN - 1
        slips = cdist(texts, names, scorer=OSA.distance, score_cutoff=cutoff, dtype=np.uint8)
        best = slips.argmin(axis=1)
        rows = np.arange(len(texts))
        least = slips[rows, best]
        slips[rows, best] = cutoff + 1
        clear = (least <= MOST_SLIPS) & (slips.min(axis=1) >= least + MARGIN)
        for row in np.flatnonzero(clear).tolist():
            text, name = texts[row], names[best[row]]
            if _is_slip(text, name, int(least[row]), self.words):
                yield text, name


def _put[K](index: dict[K, list[int]], key: K, street: int) -> None:
    found = index.setdefault(key, [])
    if not found or found[-1] != street:
        found.append(street)


def _spaced(phrase: Phrase) -> str:
    return " ".join(phrase.words_without_articles)


def _is_slip(text: str, name: str, slips: int, known: AbstractSet[str]) -> bool:
    """Whether two names differ as slips of the pen make them differ; ``known`` words are no slips."""
    letters = min(len(text.replace(" ", "")), len(name.replace(" ", "")))
    if letters < LEAST_LETTERS:
        return False
    ours, theirs = text.split(), name.split()
    if len(ours) != len(theirs):
        return False
    changed = [(a, b) for a, b in zip(ours, theirs, strict=True) if a != b]
    if any(a in known or a[0] != b[0] or any(c.isdigit() for c in a + b) for a, b in changed):
        return False
    if all(_DOUBLED.sub(r"\1", a) == _DOUBLED.sub(r"\1", b) for a, b in changed):
        return True
    if letters < (TWO_SLIPS_LETTERS if slips > 1 else ONE_SLIP_LETTERS):
        return False
    return all(_near_word(a, b) for a, b in changed)


def _near_word(one: str, other: str) -> bool:
    slips, letters = OSA.distance(one, other), min(len(one), len(other))
    return letters >= (_WORD_TWO_SLIPS_LETTERS if slips > 1 else _WORD_ONE_SLIP_LETTERS)
