"""E-mails, phones, plates, machine addresses, birth dates and identifiers in one text."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator

import phonenumbers
from stdnum import iban
from stdnum.fr import nir

from layers.personal.kinds import Form
from layers.personal.vocabulary import section

_EMAIL = re.compile(r"[^\s@<>()\[\]\",;:/|]+@[^\s@<>()\[\]\",;:/|]*[^\W_]\.[^\W\d_]{2,}")

_GAP = r"[ .\-/()]"
_FRENCH_PHONE = re.compile(
    rf"(?<!\d)(?<!\d[.,])(?:(?:\+|00){_GAP}?33{_GAP}{{0,2}}(?:\(?0\)?)?|\(?0\)?)(?:{_GAP}{{0,3}}\d){{9}}(?!\d)"
)
_INTERNATIONAL_PREFIX = re.compile(r"(?<![\w.,])00(?:[ .\-()]{0,2}\d){8,13}(?!\w)")
_AMERICAN_PHONE = re.compile(r"(?<![\w.,\-])(?:\([2-9]\d\d\) ?|[2-9]\d\d[\-.])[2-9]\d\d[\-.]\d{4}(?![\w\-])")
_DECIMAL = re.compile(r"\+?\d{1,3}[.,]\d+")
_DATE_IN_GROUPS = re.compile(
    r"(?:^|\D)(?:[0-3]?\d[\-/. ][01]?\d[\-/. ](?:19|20)\d\d|(?:19|20)\d\d[\-/. ][01]\d[\-/. ][0-3]\d)(?:\D|$)"
)
_POSTCODE_DIGITS = 5

_PAIR = "[A-HJ-NP-TV-Z]{2}"
"""Letters of a plate: neither I, O nor U."""
_PLATE = re.compile(rf"(?<![\w\-]){_PAIR}-(?!000)\d{{3}}-{_PAIR}(?![\w\-])", re.IGNORECASE)
_PLATE_LOOSE = re.compile(rf"(?<![\w\-])({_PAIR})[ \-]?(?!000)\d{{3}}[ \-]?({_PAIR})(?![\w\-])")
_PLATE_BEFORE_2009 = re.compile(
    r"(?<![\w\-])(?P<number>[1-9]\d{0,3})(?P<gap>[ \-]?)(?P<letters>[A-HJ-NP-TV-Z]{2,3})(?P=gap)"
    r"(?:0[1-9]|[1-8]\d|9[0-5]|97[1-6]|2[AB])(?![\w\-])"
)
_NEVER_ON_PLATES = frozenset(word.upper() for word in section("plates")["never"])
"""Letters between numbers of addresses, roads and dates."""
_PLATE_NUMBER_DIGITS, _PLATE_LETTERS = 3, 3

_MACHINE = re.compile(
    r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?!\w|\.\d)|(?<![\w:])[0-9a-f:]{0,4}:[0-9a-f:]*:[0-9a-f:.]*(?![\w:])",
    re.IGNORECASE,
)
_SMALL_PART = 100
_IP6_COLONS = 7

_BIRTH = re.compile(
    r"\b(?:n[ée]\(e\)|n[ée]e?\b|born\b|d\.?d\.?n\b|d\.?o\.?b\b|naissance\b|birth\b)[\s.:=]*(?:le|en|on|in)?\s*"
    r"(?:\d{1,2}(?:er|st|nd|rd|th)?[ /.\-]{1,2}(?:\d{1,2}|[a-zéûà]{3,9}\.?)[ /.\-]{1,2}\d{2,4}"
    r"|(?:19|20)\d\d\b|[a-z]{3,9}\.? \d{1,2},? \d{4})",
    re.IGNORECASE,
)

_NIR_GAP = r"[ \-]{0,2}"
_NIR = re.compile(
    rf"(?<![\w.,])[1-478]{_NIR_GAP}\d\d{_NIR_GAP}(?P<month>0[1-9]|1[0-2]|20|3\d|4[0-2]|[5-9]\d){_NIR_GAP}(?:0[1-9]|[1-9]\d|2[AB]){_NIR_GAP}"
    rf"\d{{3}}{_NIR_GAP}\d{{3}}(?P<key>{_NIR_GAP}\d\d)?(?!\w)",
    re.IGNORECASE,
)
_NIR_DIGITS, _NIR_GROUPS = 13, 4
_IBAN = re.compile(r"(?<!\w)[A-Z]{2}\d\d(?: ?[A-Z0-9]){11,40}", re.IGNORECASE)
_IBAN_LENGTHS = range(15, 35)


def patterns_in(text: str, *, whole: bool = False) -> Iterator[Form]:
    """Find spellings of contacts, plates, dates of birth and identifiers.

    Parameters
    ----------
    text
        Normalised text (see :func:`layers.personal.detection.plain`).
    whole
        Whether the spelling must be the whole text.

    Yields
    ------
    Form
        Each spelling found, sometimes more than once.
    """
    # Most of what is looked at is figures only: what needs letters is not tried on it.
    candidates = _ON_FIGURES if text.isdecimal() else _ON_TEXT
    for pattern, judge in candidates:
        for found in pattern.finditer(text):
            if whole and found[0].strip() != text.strip():
                continue
            form = judge(found)
            if form is not None:
                yield Form.PHONE_DIGITS if whole and pattern is _AMERICAN_PHONE else form
    if "+" in text:
        yield from _international(text, whole=whole)


def _french_phone(found: re.Match[str]) -> Form | None:
    written = found[0]
    if _DECIMAL.fullmatch(written) or _DATE_IN_GROUPS.search(written):
        return None
    groups = re.findall(r"\d+", written)
    national = re.sub(r"\D", "", written)[-9:]
    if national[0] == "0" or any(len(group) == _POSTCODE_DIGITS for group in groups):
        return None
    if written.startswith("+") or len(groups) > 1:
        return Form.PHONE
    before, after = found.string[: found.start()], found.string[found.end() :]
    glued = re.search(r"[^\W_]$", before) and not re.search(r"(?i)(?:t[ée]l|phone|mobile|portable|fax)$", before)
    return None if glued or re.match(r"[^\W_]", after) else Form.PHONE_DIGITS


def _prefixed_phone(found: re.Match[str]) -> Form | None:
    digits = re.sub(r"\D", "", found[0]).removeprefix("00")
    return (Form.PHONE_DIGITS if found[0].isdigit() else Form.PHONE) if _is_phone(digits) else None


def _is_phone(digits: str) -> bool:
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(f"+{digits}"))
    except phonenumbers.NumberParseException:
        return False


def _international(text: str, *, whole: bool) -> Iterator[Form]:
    for match in phonenumbers.PhoneNumberMatcher(text, None, leniency=phonenumbers.Leniency.POSSIBLE):
        if _DECIMAL.fullmatch(match.raw_string) or not match.raw_string.lstrip("(").startswith("+"):
            continue
        if not whole or match.raw_string.strip() == text.strip():
            yield Form.PHONE


def _loose_plate(found: re.Match[str]) -> Form | None:
    blanks = " " in found[0]
    innocent = found[1] in _NEVER_ON_PLATES or (blanks and found[2] in _NEVER_ON_PLATES)
    return None if innocent else Form.PLATE_LOOSE


def _old_plate(found: re.Match[str]) -> Form | None:
    if found["letters"] in _NEVER_ON_PLATES:
        return None
    # A short one inside a longer text may be a house number, letters of a road and a number.
    short = len(found["number"]) < _PLATE_NUMBER_DIGITS or len(found["letters"]) < _PLATE_LETTERS
    return Form.PLATE_LOOSE if not short or found["gap"] == "-" or found[0] == found.string else None


def _machine(found: re.Match[str]) -> Form | None:
    written = found[0]
    try:
        address = ipaddress.ip_address(written)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv4Address):
        return Form.IP_SMALL if max(address.packed) < _SMALL_PART else Form.IP
    # "Ab::Cd" is an address by its grammar only.
    return (
        Form.IP
        if re.search(r"\d", written) and (written.count(":") == _IP6_COLONS or len(written) > len("1::2"))
        else None
    )


def _social_security(found: re.Match[str]) -> Form | None:
    groups = re.findall(r"\w+", found[0])
    if found["key"] is None:
        if len(groups) > 1:
            return Form.NATIONAL_ID if len(groups) >= _NIR_GROUPS else None
        usual = len(found[0]) == _NIR_DIGITS and found[0][0] in "12" and found["month"] <= "12"
        return Form.NATIONAL_ID_NO_KEY if usual else None
    if not nir.is_valid("".join(groups).upper()):
        return None
    return Form.NATIONAL_ID if len(groups) > 1 else Form.NATIONAL_ID_DIGITS


def _bank_account(found: re.Match[str]) -> Form | None:
    compact = found[0].replace(" ", "").upper()
    # What follows in the sentence may have been taken for a part of it.
    return (
        Form.NATIONAL_ID
        if any(iban.is_valid(compact[:size]) for size in _IBAN_LENGTHS if size <= len(compact))
        else None
    )


_Judge = Callable[[re.Match[str]], Form | None]
_ON_FIGURES: tuple[tuple[re.Pattern[str], _Judge], ...] = (
    (_FRENCH_PHONE, _french_phone),
    (_INTERNATIONAL_PREFIX, _prefixed_phone),
    (_NIR, _social_security),
)
_ON_TEXT: tuple[tuple[re.Pattern[str], _Judge], ...] = (
    *_ON_FIGURES,
    (_EMAIL, lambda _: Form.EMAIL),
    (_BIRTH, lambda _: Form.BIRTH_DATE),
    (_AMERICAN_PHONE, lambda _: Form.PHONE),
    (_PLATE, lambda _: Form.PLATE),
    (_PLATE_LOOSE, _loose_plate),
    (_PLATE_BEFORE_2009, _old_plate),
    (_MACHINE, _machine),
    (_IBAN, _bank_account),
)
