"""Whole columns: few values are worth a look, and Arrow finds them.

One regular expression without backtracking (RE2) passes over each text, at about 0.1 µs a value whatever it looks for;
only what it lets through, each different value once, is judged in Python.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from layers.errors import DeliveryError
from layers.personal.detection import INNOCENT, LONGEST, verdict
from layers.personal.kinds import Form, Kind, Weight
from layers.personal.policies import Policy, Use
from layers.personal.vocabulary import first_names

_DASH = r"\x{2010}-\x{2015}-"
_GAP = rf"[ .()/\x{{A0}}\x{{2009}}\x{{202F}}{_DASH}]"
_SUSPECTS = {
    Kind.EMAIL: "@",
    Kind.PHONE: (
        rf"(?:^|[^0-9])0\)?{_GAP}{{0,3}}[1-9](?:{_GAP}{{0,3}}[0-9]){{8}}(?:[^0-9]|$)"
        rf"|(?:\+|(?:^|[^0-9])00){_GAP}{{0,2}}[1-9](?:{_GAP}{{0,3}}[0-9]){{6}}"
        r"|[2-9][0-9]{2}(?:\) ?|[.-])[2-9][0-9]{2}[.-][0-9]{4}"
    ),
    Kind.PLATE: (
        rf"\b[a-z]{{2}}[ {_DASH}]?[0-9]{{3}}[ {_DASH}]?[a-z]{{2}}\b"
        rf"|\b[0-9]{{1,4}}[ {_DASH}]?[a-z]{{2,3}}[ {_DASH}]?[0-9][0-9ab]"
    ),
    Kind.IP: r"[0-9]\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]|::[0-9a-f]|[0-9a-f]::|:[0-9a-f]{0,4}:[0-9a-f]{0,4}:",
    Kind.BIRTH_DATE: r"\bn(?:é|e)(?:e|\(e\))?[ :]+(?:le|en)?|\bborn\b|\bd\.?d\.?n\b|\bd\.?o\.?b\b|naissance|birth",
    Kind.NATIONAL_ID: (
        rf"\b[1-478]{_GAP}{{0,2}}[0-9]{{2}}{_GAP}{{0,2}}[0-9]{{2}}{_GAP}{{0,2}}[0-9][0-9ab]"
        rf"{_GAP}{{0,2}}[0-9]{{3}}{_GAP}{{0,2}}[0-9]{{3}}(?:{_GAP}{{0,2}}[0-9]{{2}})?\b"
        r"|\b[a-z]{2}[0-9]{2}(?: ?[0-9a-z]){11}"
    ),
    Kind.PERSON_NAME: (
        r"\bmm?\.|\bm +[a-z]"
        r"|\b(?:mrs?|ms|mmes?|mlles?|melles?|mle|monsieur|madame|mademoiselle|messieurs|mesdames|mister|miss)\b"
    ),
    Kind.NARRATIVE: (
        r"\b(?:ils?|elles?|je|nous|av(?:ait|aient|ons|ez)|(?:é|e)t(?:ait|aient|é|e)|ont|lui|(?:d(?:é|e)clar|indiqu)(?:e|ait|ant)"
        r"|s?he|they|w(?:as|ere)|had|his|hers?|him|them)\b"
    ),
}
"""What a text must have to be looked at: more than is personal, and never less (RE2 has no look-around)."""
_SUSPECT = f"(?i){'|'.join(_SUSPECTS.values())}"
_WHOLE_SUSPECTS = _SUSPECTS | {
    Kind.PHONE: r"^[^0-9a-z]*[0+][^a-z]{9,}$|^[^0-9a-z]*[2-9][0-9]{2}(?:\) ?|[.-])[2-9][0-9]{2}[.-][0-9]{4}[^0-9a-z]*$",
    Kind.PLATE: (
        rf"^ *[a-z]{{2}}[ {_DASH}]?[0-9]{{3}}[ {_DASH}]?[a-z]{{2}} *$"
        rf"|^ *[0-9]{{1,4}}[ {_DASH}]?[a-z]{{2,3}}[ {_DASH}]?[0-9][0-9ab][0-9]? *$"
    ),
    Kind.IP: r"^ *[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3} *$|^[ 0-9a-f.:]*:[0-9a-f.:]*:[ 0-9a-f.:]*$",
    Kind.NATIONAL_ID: (
        rf"^ *[1-478](?:{_GAP}{{0,2}}[0-9ab]){{12}}(?:(?:{_GAP}{{0,2}}[0-9]){{2}})? *$"
        r"|^ *[a-z]{2}[0-9]{2}(?: ?[0-9a-z]){11,30} *$"
    ),
}
_WHOLE_SUSPECT = f"(?i){'|'.join(_WHOLE_SUSPECTS.values())}"
"""The same where a value must be nothing else: identifiers of letters and figures are let through by the other."""
_LONG_TEXT_BLANKS = 12
_SHORTEST_LENGTH = 5
"""Bytes: nothing shorter is looked for."""

_PHONE_DIGITS, _PHONE_BEGINNING, _COUNTED_SHARE = 10, 5, 0.2

_NO_FIGURE = r"^[^0-9]*$"
_ORDINARY_NUMBER_LIMIT = 1e8
"""A plain number below this has fewer digits than a phone."""
_DAY = (
    r"[0-9]{1,2}[-/.][0-9]{1,2}[-/.](?:[0-9]{4}|[0-9]{2})|(?:1[89]|20|21)[0-9]{2}[-/.]?[01][0-9][-/.]?[0-3][0-9]"
    r"|[0-3][0-9][01][0-9]{3}[0-2][0-9][0-5][0-9]"  # day, month, year, hour, minute
)
_CLOCK = r"[0-9]{1,2}(?:[:hH][0-9]{0,2}(?::[0-9]{2}(?:[.,][0-9]+)?)?)?"
_ZONE = r"[AaPp][Mm]|Z|[+-][0-9]{2}:?(?:[0-9]{2})?"
_MOMENT = rf"^ *(?:{_DAY})?(?:[ T]*{_CLOCK} *(?:{_ZONE})?)? *$"
"""A date, a time, or both."""

Weights = NDArray[np.int8]
KINDS = tuple(Kind)


@dataclass(frozen=True, slots=True)
class Hits:
    """Values of one chunk that hold something: position, weight and number of the kind in ``KINDS``, all (n,)."""

    positions: NDArray[np.int64]
    weights: Weights
    kinds: Weights

    @property
    def masked(self) -> NDArray[np.bool_]:
        """Which of them are taken out."""
        return self.weights >= Weight.FAIR


_NO_HITS = Hits(np.empty(0, np.int64), np.empty(0, np.int8), np.empty(0, np.int8))


def holds_text(kind: pa.DataType) -> bool:
    """Whether values of a type can be text.

    Raises
    ------
    DeliveryError
        If they can be anything: bytes, lists and structures are not read as a field, hence not looked into.
    """
    if isinstance(kind, pa.DictionaryType):
        return holds_text(kind.value_type)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return True
    if pa.types.is_null(kind) or (pa.types.is_primitive(kind) or pa.types.is_decimal(kind)):
        return False
    raise DeliveryError(f"a column of type {kind} holds no text, number or time")


def screened(chunk: pa.Array, policy: Policy) -> tuple[pa.Array, Hits]:
    """Judge the values of a column and take out those that are masked.

    Parameters
    ----------
    chunk
        Text, or a dictionary of text, of any Arrow type; shape (rows,).
    policy
        What counts in it.

    Returns
    -------
    tuple
        The column, of the same type and shape, null where a value was taken out; and all that was found, masked or
        not. A value of a dictionary is taken out of it whether a row uses it or not: files hold the whole dictionary.
    """
    if isinstance(chunk, pa.DictionaryArray):
        words, hits = screened(chunk.dictionary, policy)
        return (_with_dictionary(chunk, words) if hits.masked.any() else chunk), _spread(hits, chunk)
    hits = _hits(_as_string(chunk), policy)
    if not hits.masked.any():
        return chunk, hits
    hidden = np.zeros(len(chunk), bool)
    hidden[hits.positions[hits.masked]] = True
    kept = pc.if_else(pa.array(hidden), pa.scalar(None, pa.large_string()), chunk.cast(pa.large_string()))
    return kept.cast(chunk.type), hits


def _hits(text: pa.Array, policy: Policy) -> Hits:
    if len(text) == 0 or (pc.max(pc.binary_length(text)).as_py() or 0) < _SHORTEST_LENGTH:
        return _NO_HITS
    positions = np.flatnonzero(_worth_a_look(text, policy))
    if not len(positions):
        return _NO_HITS
    different = pc.dictionary_encode(text.take(pa.array(positions)))
    values = different.dictionary.to_pylist()
    numbered = _numbered(values) if policy.whole else frozenset()
    verdicts = [INNOCENT if value in numbered else verdict(value, policy) for value in values]
    codes = different.indices.to_numpy(zero_copy_only=False)
    weights = np.array([v.weight for v in verdicts], np.int8)[codes]
    kinds = np.array([KINDS.index(v.kind) for v in verdicts], np.int8)[codes]
    found = weights > Weight.NONE
    return Hits(positions[found], weights[found], kinds[found])


def _numbered(values: list[str]) -> frozenset[str]:
    """Identifiers of ten digits that count on from one another, as phones do not: few of them begin differently."""
    digits = frozenset(value for value in values if len(value) == _PHONE_DIGITS and value.isdecimal())
    beginnings = {value[:_PHONE_BEGINNING] for value in digits}
    return digits if len(beginnings) <= max(1, _COUNTED_SHARE * len(digits)) else frozenset()


def _as_string(chunk: pa.Array) -> pa.Array:
    return chunk.cast(pa.large_string()) if pa.types.is_string_view(chunk.type) else chunk


def _spread(hits: Hits, chunk: pa.DictionaryArray) -> Hits:
    """From values of a dictionary to the rows that have them."""
    if not len(hits.positions):
        return _NO_HITS
    weights, kinds = np.zeros((2, len(chunk.dictionary) + 1), np.int8)
    weights[hits.positions], kinds[hits.positions] = hits.weights, hits.kinds
    codes = _codes(chunk)
    positions = np.flatnonzero(weights[codes] > Weight.NONE)
    return Hits(positions, weights[codes[positions]], kinds[codes[positions]])


def _codes(chunk: pa.DictionaryArray) -> NDArray[np.int64]:
    """Positions in the dictionary, one past its end where there is no value."""
    codes: NDArray[np.int64] = pc.fill_null(chunk.indices.cast(pa.int64()), len(chunk.dictionary)).to_numpy()
    return codes


def _with_dictionary(chunk: pa.DictionaryArray, words: pa.Array) -> pa.DictionaryArray:
    """Same rows over a dictionary that has lost words: those null in ``words``."""
    kept = np.flatnonzero(words.is_valid().to_numpy(zero_copy_only=False))
    numbers = np.full(len(words) + 1, -1, np.int64)
    numbers[kept] = np.arange(len(kept))
    moved = numbers[_codes(chunk)]
    indices = pa.array(moved, pa.int64(), mask=moved < 0).cast(chunk.type.index_type)
    return pa.DictionaryArray.from_arrays(indices, words.take(pa.array(kept)), ordered=chunk.type.ordered)


def _worth_a_look(text: pa.Array, policy: Policy) -> NDArray[np.bool_]:
    if policy.only is Use.NUMBER and _ordinary_numbers(text):
        return np.zeros(len(text), bool)
    if policy.only is Use.TIME:
        moments = _flags(pc.match_substring_regex(text, _MOMENT))
        if np.all(moments | text.is_null().to_numpy(zero_copy_only=False)):
            return np.zeros(len(text), bool)
        return ~moments & _suspects(text, policy)
    return _suspects(text, policy)


def _suspects(text: pa.Array, policy: Policy) -> NDArray[np.bool_]:
    worth = _flags(pc.match_substring_regex(text, _WHOLE_SUSPECT if policy.whole else _SUSPECT))
    worth |= _flags(pc.greater(pc.binary_length(text), LONGEST))
    if policy.applies(Form.NARRATIVE):
        worth |= _flags(pc.greater_equal(pc.count_substring(text, " "), _LONG_TEXT_BLANKS))
    if policy.applies(Form.NAME, Form.NAME_TYPED):
        letters = np.flatnonzero(_flags(pc.match_substring_regex(text, _NO_FIGURE)) & ~worth)
        named = _flags(pc.match_substring_regex(text.take(pa.array(letters)), _with_first_name()))
        worth[letters[named]] = True
    return worth


def _flags(mask: pa.Array) -> NDArray[np.bool_]:
    flags: NDArray[np.bool_] = pc.fill_null(mask, False).to_numpy(zero_copy_only=False)
    return flags.copy()


def _ordinary_numbers(text: pa.Array) -> bool:
    try:
        limits = pc.min_max(text.cast(pa.float64())).as_py()
    except pa.ArrowInvalid:
        return False
    return bool(max(abs(limits["min"] or 0.0), abs(limits["max"] or 0.0)) < _ORDINARY_NUMBER_LIMIT)


@cache
def _with_first_name() -> str:
    """Expression for a listed first name as a word, with or without its accents."""
    accents = {"a": "aàâäáã", "c": "cç", "e": "eéèêë", "i": "iîïí", "n": "nñ", "o": "oôöóõ", "u": "uùûüú", "y": "yÿ"}
    spelled = ("".join(f"[{accents[c]}]" if c in accents else c for c in name) for name in sorted(first_names()))
    return f"(?i)(?:^|[ ,'-])(?:{'|'.join(spelled)})(?:$|[ ,'-])"
