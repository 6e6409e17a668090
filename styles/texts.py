"""Numbers, dates and intervals as French and English readers write them."""

from __future__ import annotations

from datetime import date
from typing import Literal

from layers.city import Text

Language = Literal["fr", "en"]
LANGUAGES: tuple[Language, ...] = ("fr", "en")

NARROW_SPACE = "\u202f"
"""Narrow no-break space: groups of thousands and the inside of guillemets in French."""
_MONTHS = {
    "fr": ("janv.", "févr.", "mars", "avr.", "mai", "juin", "juil.", "août", "sept.", "oct.", "nov.", "déc."),
    "en": ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
}


def number_text(value: float, language: Language) -> str:
    """``1 234,5`` in French, ``1,234.5`` in English; up to 6 significant figures, no trailing zeros."""
    whole = float(value).is_integer()
    text = f"{int(value):,}" if whole else f"{float(f'{value:.6g}'):,.12f}".rstrip("0").rstrip(".")
    if language == "en":
        return text
    return text.replace(",", NARROW_SPACE).replace(".", ",")


def date_text(day: date, language: Language) -> str:
    """``21 nov. 2026`` in French (``1er`` for the first), ``21 Nov 2026`` in English."""
    month = _MONTHS[language][day.month - 1]
    number = "1er" if language == "fr" and day.day == 1 else str(day.day)
    return f"{number} {month} {day.year}"


def period_text(period: tuple[date, date], language: Language) -> str:
    """Both days of a period, included."""
    start, end = (date_text(day, language) for day in period)
    return f"du {start} au {end}" if language == "fr" else f"{start} to {end}"


def whole_interval(low: int, high: int | None) -> Text:
    """Label of the whole numbers of ``[low, high)``."""
    if high is None:
        return Text(fr=f"{number_text(low, 'fr')} et plus", en=f"{number_text(low, 'en')} or more")
    if high == low + 1:
        return Text(fr=number_text(low, "fr"), en=number_text(low, "en"))
    return Text(
        fr=f"{number_text(low, 'fr')} à {number_text(high - 1, 'fr')}",
        en=f"{number_text(low, 'en')} to {number_text(high - 1, 'en')}",
    )


def real_interval(low: float | None, high: float | None) -> Text:
    """Label of the numbers of ``[low, high)``, of which at least one is given."""
    if low is None and high is None:
        raise ValueError("an interval has at least one bound")
    if low is None:
        return Text(fr=f"moins de {number_text(high or 0, 'fr')}", en=f"less than {number_text(high or 0, 'en')}")
    if high is None:
        return Text(fr=f"{number_text(low, 'fr')} et plus", en=f"{number_text(low, 'en')} or more")
    return Text(
        fr=f"{number_text(low, 'fr')} à moins de {number_text(high, 'fr')}",
        en=f"{number_text(low, 'en')} to less than {number_text(high, 'en')}",
    )
