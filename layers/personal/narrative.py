"""Sentences: what a person tells, as opposed to titles, labels and addresses."""

from __future__ import annotations

import re

from layers.personal.vocabulary import section
from layers.text import fold

_WORD = re.compile(r"[^\W\d_]+")
_WORDS = section("sentences")
_TELLING = _WORDS["telling"]
_LINKING = _TELLING | _WORDS["linking"]
TELLING_WORDS = 2
LINKING_WORDS = 3


def is_narrative(text: str, shortest: int, long: int) -> bool:
    """Whether a text tells something in sentences.

    Parameters
    ----------
    text
        Any text.
    shortest
        Words from which two different words that tell (pronouns, auxiliaries, verbs of speech) make a narrative.
    long
        Words from which three different linking words do.
    """
    # Words between blanks: the slug of a title and the address of a page are one.
    words = len(text.split())
    if words < shortest:
        return False
    different = set(_WORD.findall(fold(text)))
    return len(different & _TELLING) >= TELLING_WORDS or (words >= long and len(different & _LINKING) >= LINKING_WORDS)
