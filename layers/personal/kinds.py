"""What is looked for in values, and how sure each spelling is."""

from __future__ import annotations

from enum import IntEnum, StrEnum


class Kind(StrEnum):
    """Personal data that Calanque never holds."""

    EMAIL = "email"
    NATIONAL_ID = "national_id"
    PHONE = "phone"
    PLATE = "plate"
    IP = "ip"
    BIRTH_DATE = "birth_date"
    PERSON_NAME = "person_name"
    NARRATIVE = "narrative"


class Form(StrEnum):
    """A spelling of a kind. What is plainly a phone in an address may be an ordinary number among record ids."""

    EMAIL = "email"
    PHONE = "phone written in groups, or with its country"
    PHONE_DIGITS = "phone as digits only"
    PLATE = "plate with its dashes"
    PLATE_LOOSE = "plate with blanks, compact, or of the numbering before 2009"
    IP = "address of a machine"
    IP_SMALL = "IPv4 address with parts below 100 only, as section numbers have"
    BIRTH_DATE = "date said to be of birth"
    NATIONAL_ID = "identifier in groups, or with a strong key"
    NATIONAL_ID_DIGITS = "identifier with a two-digit key, as digits only"
    NATIONAL_ID_NO_KEY = "identifier without its key, as digits only"
    CIVILITY = "name after an abbreviated civility"
    CIVILITY_WORD = "name after a civility in full, which titles of works have too"
    NAME_TYPED = "first name and SURNAME"
    NAME = "first name and surname, as streets and schools are called too"
    NARRATIVE = "sentences"


KIND_OF: dict[Form, Kind] = {
    Form.EMAIL: Kind.EMAIL,
    Form.PHONE: Kind.PHONE,
    Form.PHONE_DIGITS: Kind.PHONE,
    Form.PLATE: Kind.PLATE,
    Form.PLATE_LOOSE: Kind.PLATE,
    Form.IP: Kind.IP,
    Form.IP_SMALL: Kind.IP,
    Form.BIRTH_DATE: Kind.BIRTH_DATE,
    Form.NATIONAL_ID: Kind.NATIONAL_ID,
    Form.NATIONAL_ID_DIGITS: Kind.NATIONAL_ID,
    Form.NATIONAL_ID_NO_KEY: Kind.NATIONAL_ID,
    Form.CIVILITY: Kind.PERSON_NAME,
    Form.CIVILITY_WORD: Kind.PERSON_NAME,
    Form.NAME_TYPED: Kind.PERSON_NAME,
    Form.NAME: Kind.PERSON_NAME,
    Form.NARRATIVE: Kind.NARRATIVE,
}


class Weight(IntEnum):
    """What a detected spelling means in a column.

    ``STRONG`` and ``FAIR`` values are masked. A column is refused for a small share of strong values, and for a large
    share of values of any weight.
    """

    NONE = 0
    WEAK = 1
    FAIR = 2
    STRONG = 3
