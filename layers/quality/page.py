"""The report's page: one HTML file that loads nothing, drawn from the report's document."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from layers.quality.profile import INTERVAL_CLASSES, PRECISION_CLASSES
from layers.quality.wording import PERSONAL, WEEKDAYS, counted, date_text, decimal, percent, whole
from layers.values import Text

WIDTH: Final = 720
_HEIGHT: Final = 120
_MOST_BARS: Final = 200
_NO_BREAK: Final = "\N{NO-BREAK SPACE}"

_PRECISIONS: Final = {
    "0-10": ("≤ 10 m", "≤ 10 m"),
    "10-25": ("10–25 m", "10–25 m"),
    "25-50": ("25–50 m", "25–50 m"),
    "50-100": ("50–100 m", "50–100 m"),
    "100-500": ("100–500 m", "100–500 m"),
    "500+": ("> 500 m", "> 500 m"),
    "unknown": ("inconnue", "unknown"),
}
_INTERVALS: Final = {
    "instant": ("exacte", "exact"),
    "1h": ("≤ 1 heure", "≤ 1 hour"),
    "24h": ("≤ 1 jour", "≤ 1 day"),
    "longer": ("> 1 jour", "> 1 day"),
}
_LEVELS: Final = {
    "correct": ("À corriger", "To correct"),
    "check": ("À vérifier", "To check"),
    "know": ("À savoir", "Good to know"),
}
_PERIODS: Final = {
    1: ("par jour", "by day"),
    7: ("par semaine", "by week"),
    28: ("par période de 4 semaines", "by four weeks"),
    364: ("par période de 52 semaines", "by fifty-two weeks"),
}
_TICKS: Final = ((200, 1), (800, 3), (6_000, 12), (20_000, 60))
"""Days that a chart spans at most → months between its ticks."""
_LONGEST_TICK: Final = 240


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar of a chart, in the chart's own units."""

    x: float
    y: float
    width: float
    height: float
    label: Text


@dataclass(frozen=True, slots=True)
class Chart:
    """Records over time: bars, ticks (position and label) and the length of a bar."""

    bars: tuple[Bar, ...]
    ticks: tuple[tuple[float, str], ...]
    highest: int
    period: Text


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("layers.quality"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "fr": lambda text: typographic(_of(text, "fr")),
        "en": lambda text: _of(text, "en"),
        "whole": whole,
        "percent": percent,
        "date": date_text,
        "decimal": decimal,
    }
    return environment


def draw_page(document: Mapping[str, Any]) -> str:
    """Draw a report (:func:`layers.quality.report.source_report`) as a page; every value is escaped."""
    page = (
        _environment()
        .get_template("report.html")
        .render(
            report=document,
            chart=time_chart(document["time"]["days"], document["time"]["first"], document["time"]["last"]),
            levels=[(level, Text(fr=fr, en=en), _of_level(document, level)) for level, (fr, en) in _LEVELS.items()],
            hours=_rows([(f"{h} h", f"{h} h", n) for h, n in enumerate(document["time"]["hours"])]),
            weekdays=_rows([(fr, en, n) for (fr, en), n in zip(WEEKDAYS, document["time"]["weekdays"], strict=True)]),
            precisions=_rows(
                [
                    (*_PRECISIONS[c], document["positions"]["precision"].get(c, 0))
                    for c in _stated(document["positions"])
                ]
            ),
            intervals=_rows([(*_INTERVALS[c], document["time"]["intervals"].get(c, 0)) for c in INTERVAL_CLASSES]),
            classes=_rows([(c["title"]["fr"], c["title"]["en"], c["records"]) for c in document["classes"][:12]]),
            personal=PERSONAL,
            counted=counted,
            text=lambda fr, en: Text(fr=fr, en=en),
        )
    )
    return page.lstrip()


def typographic(text: str) -> str:
    """Keep French punctuation with the word before it, and guillemets with what they hold."""
    return re.sub(r" (?=[:;?!»%])", _NO_BREAK, text).replace("« ", f"«{_NO_BREAK}")


def _stated(positions: Mapping[str, Any]) -> Sequence[str]:
    """Classes of precision, when the source states any."""
    return PRECISION_CLASSES if set(positions["precision"]) - {"unknown"} else ()


def _of(text: Any, language: str) -> str:
    return str(text[language])


def _of_level(document: Mapping[str, Any], level: str) -> list[Any]:
    return [r for r in document["recommendations"] if r["level"] == level]


def _rows(values: Sequence[tuple[str, str, int]]) -> list[dict[str, Any]]:
    """Rows of a table with a bar: label, number, share of all, and length of the bar (the largest is 100)."""
    total, largest = sum(n for *_, n in values), max((n for *_, n in values), default=0)
    if not total:
        return []
    return [
        {"label": Text(fr=fr, en=en), "number": n, "share": n / total, "length": round(100 * n / largest, 1)}
        for fr, en, n in values
    ]


def time_chart(days: Mapping[str, int], first: str | None, last: str | None) -> Chart | None:
    """Bars of records over time, by day, week, four or fifty-two weeks: at most 200 of them where that is enough.

    Parameters
    ----------
    days
        Local date → records.
    first, last
        Days between which the chart lies; None for no chart.
    """
    if first is None or last is None:
        return None
    start, end = dt.date.fromisoformat(first), dt.date.fromisoformat(last)
    length = (end - start).days + 1
    if length < 2:
        return None
    step = next((s for s in _PERIODS if length / s <= _MOST_BARS), max(_PERIODS))
    # The last, incomplete period would look like a fall.
    numbers = [0] * max(1, length // step)
    for date, number in days.items():
        position = (dt.date.fromisoformat(date) - start).days // step
        if 0 <= position < len(numbers):
            numbers[position] += number
    highest, width = max(*numbers, 1), WIDTH / len(numbers)
    bars = []
    for position, number in enumerate(numbers):
        day = date_text((start + dt.timedelta(days=position * step)).isoformat())
        height = round(_HEIGHT * number / highest, 2)
        label = Text(fr=f"{day.fr} : {whole(number).fr}", en=f"{day.en}: {whole(number).en}")
        gap = min(1.0, 0.2 * width)
        bars.append(Bar(round(position * width, 2), round(_HEIGHT - height, 2), round(width - gap, 2), height, label))
    fr, en = _PERIODS[step]
    return Chart(tuple(bars), _ticks(start, len(numbers) * step), highest, Text(fr=fr, en=en))


def _ticks(start: dt.date, days: int) -> tuple[tuple[float, str], ...]:
    """Years, quarters or months, as many as can be read."""
    end = start + dt.timedelta(days=days)
    months = next((step for longest, step in _TICKS if days <= longest), _LONGEST_TICK)
    year, month = start.year, start.month
    ticks = []
    while (day := dt.date(year, month, 1)) < end:
        aligned = (year * 12 + month - 1) % months == 0
        if day >= start and aligned:
            label = str(year) if months >= 12 else f"{month:02d}/{year}"
            ticks.append((round(WIDTH * (day - start).days / days, 2), label))
        year, month = (year + 1, 1) if month == 12 else (year, month + 1)
    return tuple(ticks)
