"""Names of persons in one text: after a civility, or as the whole of it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from layers.personal.kinds import Form
from layers.personal.vocabulary import first_names, section
from layers.text import fold

_WORD = r"[^\W\d_][^\W\d_'’\-]*(?:['’\-][^\W\d_]+)*"
_WORDS = section("names")
_PARTICLES, _ROLES, _TITLES = _WORDS["particles"], _WORDS["roles"], _WORDS["titles"]
_STREETS = _WORDS["streets"]
_NO_PERSON = _STREETS | _WORDS["places"] | _WORDS["functions"]
_ARTICLES = r"(?:(?i:le|la|de|du|des|van|von|der|den|ben|bin|el|al|da|di|dos) +|(?i:l|d)['’] ?)*"
_SHORT = re.compile(
    rf"(?<![\w.'’\-])(?P<civility>MM?\.|(?i:mrs?|mmes?|mlles?|melles?|mle)\.?|Ms\.?) +{_ARTICLES}(?P<name>{_WORD})"
)
_LONG = re.compile(
    r"(?<![\w'’\-])(?P<civility>(?i:monsieur|madame|mademoiselle|messieurs|mesdames|mister|miss)) +"
    rf"{_ARTICLES}(?P<name>{_WORD})|(?<![\w.'’\-])(?P<glued>M\.)(?P<after>[A-ZÀ-Þ][^\W\d_]+)"
)
_WHOLE = re.compile(rf"\s*{_WORD}\.?(?:(?: +|, ?){_WORD}\.?){{1,4}}\s*")
_MOST_WORDS = 4

_AFTER_CHEZ = re.compile(r"(?:\b(?:chez|c/o|attn|nom|dest|pour)[ :.]*)$", re.IGNORECASE)
_STREET_AFTER = re.compile(r"[^,;(]*\(\s*([^\W\d_]+)\.?\s*\)")
"""Of an index of streets: ``STAEL MADAME DE (RUE)``."""
_SEGMENT = re.compile(r"[,;()\n/|]| - ")
_SHORTEST = 2


def names_in(text: str, *, whole: bool = False) -> Iterator[Form]:
    """Find names of persons.

    Parameters
    ----------
    text
        Normalised text.
    whole
        Whether a civility must begin the text.

    Yields
    ------
    Form
        Each spelling found, sometimes more than once.
    """
    for pattern, form in ((_SHORT, Form.CIVILITY), (_LONG, Form.CIVILITY_WORD)):
        for found in pattern.finditer(text):
            if (not whole or not text[: found.start()].strip()) and _is_person(found):
                yield form
    bare = text.removeprefix("M ").removeprefix("m ")
    named = _whole_name(bare) if _WHOLE.fullmatch(bare) else None
    if named is not None:
        yield named if bare == text else Form.CIVILITY


def _is_person(found: re.Match[str]) -> bool:
    name = found["name"] if found["name"] is not None else found["after"]
    folded = fold(name)
    if len(folded) < _SHORTEST or folded in _ROLES | _PARTICLES | _NO_PERSON:
        return False
    civility = found["civility"] or ""
    # Lower case counts where nothing is written in capitals: "mme durand", not "12 m. plus loin".
    if name[0].islower() and (civility.startswith("M.") or not civility.islower()):
        return False
    return not _in_street(found)


def _in_street(found: re.Match[str]) -> bool:
    after = _STREET_AFTER.match(found.string, found.end())
    if after and fold(after[1]) in _STREETS:
        return True
    before = _SEGMENT.split(found.string[: found.start()])[-1]
    if _AFTER_CHEZ.search(before):
        return False
    words = [fold(word) for word in re.findall(r"[^\W\d_]+", before)]
    street = max((i for i, word in enumerate(words) if word in _STREETS), default=None)
    if street is None:
        return False
    named = [word for word in words[street + 1 :] if word not in _PARTICLES | _TITLES]
    # "M." may be an initial; other civilities after a street's name begin a person's.
    return not named or (found["civility"] or "M.").startswith("M.")


def _whole_name(text: str) -> Form | None:
    words = re.findall(rf"{_WORD}", text)
    folded = [fold(word).replace("’", "'") for word in words]
    parts = [part for word in folded for part in re.split(r"[\-']", word)]
    if _NO_PERSON & set(parts) or " ".join(parts) in _WORDS["eponyms"]:
        return None
    firsts = [all(part in first_names() for part in word.split("-")) for word in folded]
    names = [i for i, word in enumerate(folded) if word not in _PARTICLES]
    if not _SHORTEST <= len(names) <= _MOST_WORDS or not (firsts[0] or firsts[-1]):
        return None
    if min(len(word) for i, word in enumerate(folded) if i in names) < _SHORTEST:
        return None
    given = [i for i in names if firsts[i]]
    capitals = [i for i in names if words[i].isupper()]
    surnames = [i for i in names if i not in capitals]
    # Capitals set the surname apart: "DUPONT Jean", "Jean-Pierre LE GOFF".
    if capitals and surnames and all(i in given for i in surnames):
        return Form.NAME_TYPED
    return Form.NAME
