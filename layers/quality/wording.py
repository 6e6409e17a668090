"""Words of the report: numbers as French and English readers write them, and what each reason means."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from layers.values import Text

NARROW: Final = "\N{NARROW NO-BREAK SPACE}"
_TINY = 0.0005


def whole(number: float) -> Text:
    """Write a whole number: ``12 345`` and ``12,345``."""
    text = f"{round(number):,}"
    return Text(fr=text.replace(",", NARROW), en=text)


def decimal(number: float, digits: int = 1) -> Text:
    """Write a number with ``digits`` decimals: ``1 234,5`` and ``1,234.5``."""
    text = f"{number:,.{digits}f}"
    return Text(fr=text.replace(",", NARROW).replace(".", ","), en=text)


def percent(share: float) -> Text:
    """Write a share: ``3,1 %`` and ``3.1%``; neither 0 nor 100 % is written for what is not quite so."""
    if 0 < share < _TINY:
        return Text(fr=f"<{NARROW}0,1{NARROW}%", en="<0.1%")
    if 1 - _TINY < share < 1:
        return Text(fr=f">{NARROW}99,9{NARROW}%", en=">99.9%")
    number = decimal(100 * share, 0 if share in {0, 1} else 1)
    return Text(fr=f"{number.fr}{NARROW}%", en=f"{number.en}%")


def counted(number: float, fr: tuple[str, str], en: tuple[str, str]) -> Text:
    """Write a number with its noun, singular or plural (in French, below two is singular)."""
    amount = whole(number)
    french, english = fr[number >= 2], en[number != 1]
    return Text(fr=f"{amount.fr} {french}", en=f"{amount.en} {english}")


PERSONAL: Final[Mapping[str, Text]] = MappingProxyType(
    {
        "email": Text(fr="adresse électronique", en="e-mail address"),
        "phone": Text(fr="numéro de téléphone", en="telephone number"),
        "plate": Text(fr="plaque d’immatriculation", en="licence plate"),
        "ip": Text(fr="adresse IP", en="IP address"),
        "birth_date": Text(fr="date de naissance", en="birth date"),
        "national_id": Text(fr="numéro d’identité ou de compte", en="identity or account number"),
        "person_name": Text(fr="nom de personne", en="person’s name"),
        "narrative": Text(fr="texte libre", en="free text"),
    }
)
"""Kinds of personal data that are masked."""

CHANGES: Final[Mapping[str, Text]] = MappingProxyType(
    {
        "hours": Text(fr="Heures de la journée", en="Hours of the day"),
        "weekdays": Text(fr="Jours de la semaine", en="Days of the week"),
        "classes": Text(fr="Répartition par nature", en="Distribution by category"),
        "codes": Text(fr="Répartition par code", en="Distribution by code"),
        "precision": Text(fr="Précision des positions", en="Positional precision"),
        "intervals": Text(fr="Durée des intervalles", en="Length of intervals"),
        "provenance": Text(fr="Signalé ou constaté", en="Reported or discovered"),
        "located": Text(fr="Part des lignes localisées", en="Share of rows located"),
        "rejected": Text(fr="Part des lignes refusées", en="Share of rows refused"),
        "filled": Text(fr="Part renseignée du champ", en="Filled share of the field"),
        "vanished": Text(fr="Code disparu", en="Code that vanished"),
        "new": Text(fr="Code nouveau", en="New code"),
        "volume": Text(fr="Enregistrements par jour", en="Records a day"),
        "rows": Text(fr="Nombre de lignes", en="Number of rows"),
    }
)
"""What may change between two deliveries."""

WEEKDAYS: Final = (
    ("lundi", "Monday"),
    ("mardi", "Tuesday"),
    ("mercredi", "Wednesday"),
    ("jeudi", "Thursday"),
    ("vendredi", "Friday"),
    ("samedi", "Saturday"),
    ("dimanche", "Sunday"),
)
MONTHS: Final = (
    ("janvier", "January"),
    ("février", "February"),
    ("mars", "March"),
    ("avril", "April"),
    ("mai", "May"),
    ("juin", "June"),
    ("juillet", "July"),
    ("août", "August"),
    ("septembre", "September"),
    ("octobre", "October"),
    ("novembre", "November"),
    ("décembre", "December"),
)


def date_text(iso: str) -> Text:
    """Write a date: ``1er mars 2024`` and ``1 March 2024``."""
    year, month, day = (int(part) for part in iso.split("-"))
    fr, en = MONTHS[month - 1]
    return Text(fr=f"{'1er' if day == 1 else day} {fr} {year}", en=f"{day} {en} {year}")


def month_text(iso: str) -> Text:
    """Write a month: ``mars 2024`` and ``March 2024``."""
    year, month = (int(part) for part in iso.split("-"))
    fr, en = MONTHS[month - 1]
    return Text(fr=f"{fr} {year}", en=f"{en} {year}")


_DATE_PARTS: Final = (
    ("%d", "jj", "dd"),
    ("%m", "mm", "mm"),
    ("%Y", "aaaa", "yyyy"),
    ("%y", "aa", "yy"),
    ("%H", "hh", "hh"),
    ("%M", "mm", "mm"),
    ("%S", "ss", "ss"),
    ("%j", "jjj", "ddd"),
)


def date_form(pattern: str) -> Text:
    """Write a strptime format as people do: ``jj/mm/aaaa hh:mm``."""
    fr = en = pattern
    for code, french, english in _DATE_PARTS:
        fr, en = fr.replace(code, french), en.replace(code, english)
    return Text(fr=fr, en=en)


def listed(labels: list[str], most: int) -> Text:
    """Write labels in a row, and how many are left out."""
    shown = ", ".join(labels[:most])
    more = len(labels) - most
    if more <= 0:
        return Text(fr=shown, en=shown)
    return Text(fr=f"{shown} et {more} autres" if more > 1 else f"{shown} et 1 autre", en=f"{shown} and {more} more")
