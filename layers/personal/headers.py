"""Headers that tell that a column holds persons, in French and English."""

from __future__ import annotations

import re
from collections.abc import Iterable

from layers.personal.kinds import Kind
from layers.personal.policies import Use
from layers.personal.vocabulary import section
from layers.text import fold

_WORD = re.compile(r"[a-z]+")
_CAMEL = re.compile(r"(?<=[a-zà-ÿ])(?=[A-ZÀ-Þ])")

_TELLING = section("headers", "telling")
_TOGETHER = {
    kind: [frozenset(p.split()) for p in sorted(phrases)] for kind, phrases in section("headers", "together").items()
}
_ALONE = section("headers", "alone")
_WORDS = section("headers")
_NAMED = frozenset({Use.PLACE, Use.TITLE})


def kind_of_header(header: str, uses: Iterable[Use]) -> Kind | None:
    """Tell which personal data a header announces.

    Whole words are compared, without case, accents or marks between them: ``nombre``, ``nom_rue``, ``plaque_rue`` and
    ``recital`` are innocent.

    Parameters
    ----------
    header
        Name of a column.
    uses
        What the column is mapped to: a name of places or a title may be called ``nom``; a time may be that of a call.

    Returns
    -------
    Kind or None
        None for an innocent header.
    """
    uses = set(uses)
    words = _WORD.findall(fold(_CAMEL.sub(" ", header))) + _WORD.findall(fold(header))
    distinct = set(words) | {fold(header).replace("_", "").replace(" ", "")}
    kind = _announced(distinct, uses)
    if kind is None or kind is Kind.BIRTH_DATE:
        return kind
    if uses <= {Use.TIME} and distinct & _WORDS["moments"]:
        return None
    return None if distinct & _WORDS["counts"] else kind


def _announced(words: set[str], uses: set[Use]) -> Kind | None:
    meaning = words - _WORDS["articles"]
    for kind in Kind:
        if words & _TELLING.get(kind, frozenset()) or any(phrase <= words for phrase in _TOGETHER.get(kind, ())):
            return kind
        if len(meaning) == 1 and meaning <= _ALONE.get(kind, frozenset()):
            return None if kind is Kind.PERSON_NAME and uses <= _NAMED else kind
    role = words & _WORDS["roles"] and words & _WORDS["of_a_person"]
    return Kind.PERSON_NAME if role or words & _WORDS["persons"] else None
