"""One value: what it holds, and how much that counts in its column."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

from layers.personal.kinds import KIND_OF, Form, Kind, Weight
from layers.personal.names import names_in
from layers.personal.narrative import is_narrative
from layers.personal.patterns import patterns_in
from layers.personal.policies import Policy, Use

_DASHES = re.compile("[\u2010-\u2015\u2212]")
_KINDS = tuple(Kind)

_SENTENCE_WORDS = {Use.CODE: (6, 26), Use.TITLE: (30, 60), Use.PLACE: (12, 60)}
"""Words from which telling and linking words count: labels of offences and titles are long."""
_SENTENCE_WORDS_ELSEWHERE = (6, 13)


LONGEST = 2_000
"""Characters: no address, code or title is longer, and expressions with look-around are slow on long texts."""


class Verdict(NamedTuple):
    """The kind that weighs most in a value, and its weight."""

    weight: Weight
    kind: Kind


INNOCENT = Verdict(Weight.NONE, _KINDS[0])


def plain(value: str) -> str:
    """Text with ordinary blanks, dashes and letters: compatibility forms replaced, invisible characters left out."""
    if value.isascii():
        return value
    text = _DASHES.sub("-", unicodedata.normalize("NFKC", value))
    return "".join(c for c in text if unicodedata.category(c) != "Cf")


def verdict(value: str, policy: Policy) -> Verdict:
    """Judge a value under the policy of its column; ties go to the kind named first."""
    if value.strip() in policy.known:
        return INNOCENT
    if len(value) > LONGEST:
        return Verdict(Weight.STRONG, Kind.NARRATIVE)
    worst = INNOCENT
    for form in _forms(plain(value).strip(), policy):
        found = Verdict(policy.weights[form], KIND_OF[form])
        if (found.weight, -_KINDS.index(found.kind)) > (worst.weight, -_KINDS.index(worst.kind)):
            worst = found
    return worst


def _forms(text: str, policy: Policy) -> Iterator[Form]:
    yield from patterns_in(text, whole=policy.whole)
    if text.isdecimal():
        return
    yield from names_in(text, whole=policy.whole)
    # The longest limits of the column's uses: a column that is also a title is judged as a title.
    limits = [_SENTENCE_WORDS.get(use, _SENTENCE_WORDS_ELSEWHERE) for use in policy.uses]
    if is_narrative(text, max(short for short, _ in limits), max(long for _, long in limits)):
        yield Form.NARRATIVE
