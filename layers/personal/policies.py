"""Which spellings count in which column: the fields that it feeds decide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from layers.declared_sources import ColumnRule, Source
from layers.fields import LAYER_FIELDS, PLACE_NAMES, ZONE_PREFIX, FieldType
from layers.personal.kinds import Form, Weight
from layers.text import slug

NONE, WEAK, FAIR, STRONG = Weight.NONE, Weight.WEAK, Weight.FAIR, Weight.STRONG


class Use(StrEnum):
    """What a column is for."""

    ADDRESS = "address"
    STREET_NAME = "part of an address: often a street's name without its type, hence a person's name"
    CODE = "code"
    IDENTIFIER = "identifier"
    TITLE = "title"
    PLACE = "name of a place"
    NUMBER = "number"
    TIME = "time"


@dataclass(frozen=True, slots=True)
class Policy:
    """How a column's values are looked at.

    ``weights`` says what each spelling means. ``whole`` asks that a value be nothing but the spelling. ``known`` are
    codes that the city file lists: whoever wrote them there has read them.
    """

    uses: frozenset[Use]
    weights: Mapping[Form, Weight]
    known: frozenset[str] = frozenset()

    @property
    def whole(self) -> bool:
        """Whether only whole values count."""
        return Use.IDENTIFIER in self.uses

    @property
    def only(self) -> Use | None:
        """The use, where there is one alone."""
        return next(iter(self.uses)) if len(self.uses) == 1 else None

    def applies(self, *forms: Form) -> bool:
        """Whether any of these spellings counts."""
        return any(self.weights[form] for form in forms)


_EVERYWHERE = dict.fromkeys(Form, STRONG) | {Form.NATIONAL_ID_NO_KEY: WEAK, Form.NAME: FAIR}

_CHANGES: Mapping[Use, Mapping[Form, Weight]] = MappingProxyType(
    {
        Use.ADDRESS: {},
        Use.STREET_NAME: {Form.NAME: NONE, Form.NAME_TYPED: NONE, Form.CIVILITY: WEAK, Form.CIVILITY_WORD: WEAK},
        Use.NUMBER: {Form.NATIONAL_ID_DIGITS: WEAK},
        Use.TIME: {Form.NATIONAL_ID_DIGITS: NONE, Form.NATIONAL_ID_NO_KEY: NONE},
        # Codes and identifiers can have any shape, so that only most of a column tells something of a loose spelling.
        Use.CODE: {
            Form.PHONE_DIGITS: WEAK,
            Form.PLATE_LOOSE: WEAK,
            Form.NATIONAL_ID_DIGITS: WEAK,
            Form.IP_SMALL: NONE,
        },
        Use.IDENTIFIER: {
            Form.PHONE_DIGITS: WEAK,
            Form.PLATE_LOOSE: WEAK,
            Form.NATIONAL_ID_DIGITS: WEAK,
            Form.IP_SMALL: NONE,
            Form.NAME_TYPED: WEAK,
            Form.NAME: WEAK,
        },
        # Titles name artists and characters of works; places are called after persons.
        Use.TITLE: {Form.CIVILITY_WORD: NONE, Form.NAME_TYPED: WEAK, Form.NAME: NONE, Form.NARRATIVE: WEAK},
        Use.PLACE: {
            Form.PLATE_LOOSE: WEAK,
            Form.NATIONAL_ID_DIGITS: WEAK,
            Form.CIVILITY: WEAK,
            Form.CIVILITY_WORD: WEAK,
            Form.NAME_TYPED: NONE,
            Form.NAME: NONE,
            Form.NARRATIVE: WEAK,
        },
    }
)

_STREET_WORDS = frozenset({"voie", "rue", "street", "road", "lieudit", "odonyme"})


def uses_of(source: Source) -> dict[str, set[Use]]:
    """Columns that a source maps, and what each is for."""
    found: dict[str, set[Use]] = {}
    for field, rule in source.columns.items():
        for column in rule.reads():
            found.setdefault(column, set()).add(_use(source, field, rule, column))
    return found


def _use(source: Source, field: str, rule: ColumnRule, column: str) -> Use:
    if field in PLACE_NAMES or field.startswith(ZONE_PREFIX):
        return Use.PLACE
    match LAYER_FIELDS[source.layer][field].type:
        case FieldType.INTEGER | FieldType.NUMBER:
            return Use.NUMBER
        case FieldType.TIME | FieldType.DATE:
            return Use.TIME
        case _:
            pass
    if field == "address":
        joined = rule.columns is not None and len(rule.columns) > 1
        return Use.STREET_NAME if joined or _STREET_WORDS & set(slug(column).split("-")) else Use.ADDRESS
    return {"record_id": Use.IDENTIFIER, "title": Use.TITLE}.get(field, Use.CODE)


def policy_of(source: Source, column: str) -> Policy:
    """Policy of a column: where it feeds several fields, what is innocent in one of them is innocent.

    A column that feeds none is one that zones are made of: a name of places.
    """
    uses = frozenset(uses_of(source).get(column, {Use.PLACE}))
    weights = {form: min((_EVERYWHERE | dict(_CHANGES[use]))[form] for use in uses) for form in Form}
    return Policy(uses, MappingProxyType(weights), frozenset(_known_codes(source, column)))


def _known_codes(source: Source, column: str) -> Sequence[str]:
    known: list[str] = []
    for field, rule in source.columns.items():
        if rule.column == column:
            known += rule.map or ()
            known += source.categories if field == "category" else ()
    return known
