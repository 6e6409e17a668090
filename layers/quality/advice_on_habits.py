"""Advice on the habits of a source: default positions, rounded coordinates and hours, midnight, missing days."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from layers.declared_sources import Source
from layers.quality.advice import RECORDS, ROWS, Document, Level, Recommendation
from layers.quality.wording import counted, date_text, decimal, listed, month_text, percent, whole
from layers.values import Text

_NO_PRECISION_SHARE: Final = 0.05
_COARSE_SHARE: Final = 0.05
_COMMON_SHARE: Final = 0.02
_OFF_LAND_SHARE: Final = 0.005
_MIDNIGHT_SHARE: Final = 0.02
_ROUND_SHARE: Final = 0.6
_LONG_SHARE: Final = 0.10
_LEAST_ROWS: Final = 20
"""Fewer rows make no habit."""
_NAMED_GAPS: Final = 3
_NAMED_MONTHS: Final = 4


def unknown_precision(document: Document, source: Source) -> Iterator[Recommendation]:
    """Positions whose precision nobody stated."""
    positions, located = document["positions"], document["positions"]["located"] or 0
    if not located or document["layer"] != "incidents":
        return
    unknown = positions["precision"].get("unknown", 0) if "precision_m" in source.columns else located
    if unknown / located < _NO_PRECISION_SHARE:
        return
    share = percent(unknown / located)
    text = Text(
        fr=f"{share.fr} des positions sont sans précision connue : indiquer en mètres si la position est celle du "
        "numéro, de la rue ou du quartier.",
        en=f"{share.en} of positions have no known precision: say in metres whether a position is that of the house "
        "number, the street or the neighbourhood.",
    )
    level: Level = "check" if "precision_m" in source.columns else "know"
    yield Recommendation("no_precision", level, text, unknown, {"rows": unknown})


def rounded_positions(document: Document, _source: Source) -> Iterator[Recommendation]:
    """Coordinates cut to about a hundred metres."""
    located, coarse = document["positions"]["located"] or 0, document["positions"]["coarse"]
    if coarse < _LEAST_ROWS or coarse / located < _COARSE_SHARE:
        return
    share = percent(coarse / located)
    text = Text(
        fr=f"{share.fr} des positions sont arrondies à une centaine de mètres : transmettre les coordonnées entières.",
        en=f"{share.en} of positions are rounded to about a hundred metres: send the whole coordinates.",
    )
    yield Recommendation("coarse_positions", "check", text, coarse, {"rows": coarse})


def common_position(document: Document, _source: Source) -> Iterator[Recommendation]:
    """One point that holds a share of all records: the default of a form, or the town hall."""
    located, commonest = document["positions"]["located"] or 0, document["positions"]["commonest"]
    if not commonest:
        return
    lon, lat, number = commonest[0]
    if number < _LEAST_ROWS or number / located < _COMMON_SHARE:
        return
    rows, share = counted(number, *ROWS), percent(number / located)
    lon_text, lat_text = decimal(lon, 5), decimal(lat, 5)
    text = Text(
        fr=f"{rows.fr} ({share.fr}) exactement au même point (latitude {lat_text.fr}, longitude {lon_text.fr}) : "
        "est-ce une position par défaut ? Si oui, la laisser vide.",
        en=f"{rows.en} ({share.en}) at exactly the same point (latitude {lat_text.en}, longitude {lon_text.en}): is "
        "it a default position? If so, leave it empty.",
    )
    yield Recommendation("common_position", "check", text, number, {"lon": lon, "lat": lat, "rows": number})


def off_land(document: Document, _source: Source) -> Iterator[Recommendation]:
    """Positions at sea or beyond the city."""
    off, on = document["positions"]["off_land"] or 0, document["positions"]["on_land"] or 0
    if not off or off / (off + on) < _OFF_LAND_SHARE:
        return
    rows = counted(off, *RECORDS)
    text = Text(
        fr=f"{rows.fr} hors du territoire, en mer ou au-delà des limites : vérifier ces positions.",
        en=f"{rows.en} off the city’s land, at sea or beyond its limits: check these positions.",
    )
    yield Recommendation("off_land", "check", text, off, {"rows": off})


def midnight(document: Document, _source: Source) -> Iterator[Recommendation]:
    """Facts at 00:00, where an unknown hour hides."""
    timed, rows = sum(document["time"]["hours"]), document["time"]["minutes"].get("midnight", 0)
    if document["layer"] != "incidents" or rows < _LEAST_ROWS or rows / timed < _MIDNIGHT_SHARE:
        return
    share = percent(rows / timed)
    text = Text(
        fr=f"{share.fr} des faits sont à 00:00 : est-ce minuit, ou une heure inconnue ? Laisser vide une heure "
        "inconnue, ou donner le début et la fin de l’intervalle.",
        en=f"{share.en} of facts are at 00:00: is it midnight, or an unknown hour? Leave an unknown hour empty, or "
        "give the start and the end of the interval.",
    )
    yield Recommendation("midnight", "check", text, rows, {"rows": rows, "share": round(rows / timed, 6)})


def round_times(document: Document, _source: Source) -> Iterator[Recommendation]:
    """Hours typed to the nearest half."""
    timed, minutes = sum(document["time"]["hours"]), document["time"]["minutes"]
    rows = minutes.get("hour", 0) + minutes.get("half", 0)
    if document["layer"] != "incidents" or rows < _LEAST_ROWS or rows / timed < _ROUND_SHARE:
        return
    share = percent(rows / timed)
    text = Text(
        fr=f"{share.fr} des heures sont rondes (:00 ou :30) : une analyse à moins d’une heure près n’est pas sûre.",
        en=f"{share.en} of times are round (:00 or :30): an analysis below one hour is not reliable.",
    )
    yield Recommendation("round_times", "know", text, rows, {"rows": rows})


def long_intervals(document: Document, _source: Source) -> Iterator[Recommendation]:
    """Facts of which the day itself is not known."""
    intervals = document["time"]["intervals"]
    rows, total = intervals.get("longer", 0), sum(intervals.values())
    if document["layer"] != "incidents" or not rows or rows / total < _LONG_SHARE:
        return
    share = percent(rows / total)
    text = Text(
        fr=f"{share.fr} des faits ont un intervalle de plus d’un jour : ils comptent à leur premier jour et dans "
        "aucune heure.",
        en=f"{share.en} of facts have an interval of more than a day: they count on its first day and in no hour.",
    )
    yield Recommendation("long_intervals", "know", text, rows, {"rows": rows})


def skipped_hours(document: Document, _source: Source) -> Iterator[Recommendation]:
    """Times within the hour that the clocks skip in spring."""
    number = document["figures"].get("times_skipped_by_clock", 0)
    if not number:
        return
    rows = counted(number, *ROWS)
    text = Text(
        fr=f"{rows.fr} à une heure qui n’existe pas (passage à l’heure d’été) : l’horloge de saisie est-elle en UTC ?",
        en=f"{rows.en} at an hour that does not exist (clocks going forward): is the recording clock in UTC?",
    )
    yield Recommendation("skipped_hours", "check", text, number, {"rows": number})


def gaps(document: Document, _source: Source) -> Iterator[Recommendation]:
    """Days without a record: the longest ones are named, the table holds all."""
    found = document["time"]["gaps"]
    if not found:
        return
    largest = sorted(found, key=lambda gap: (-gap["expected"], gap["start"]))[:_NAMED_GAPS]
    spans = [_span(gap["start"], gap["end"], gap["days"]) for gap in sorted(largest, key=lambda gap: str(gap["start"]))]
    more = len(found) - len(spans)
    months = [month_text(month) for gap in found for month in gap["months"]]
    days, expected = sum(gap["days"] for gap in found), round(sum(gap["expected"] for gap in found))
    named = Text(
        fr=", ".join(span.fr for span in spans) + (f" (et {more} {'autres' if more > 1 else 'autre'})" if more else ""),
        en=", ".join(span.en for span in spans) + (f" (and {more} more)" if more else ""),
    )
    names = listed([month.fr for month in months], _NAMED_MONTHS), listed([month.en for month in months], _NAMED_MONTHS)
    missing = Text(
        fr=f" Mois entiers absents : {names[0].fr}." if months else "",
        en=f" Whole months missing: {names[1].en}." if months else "",
    )
    text = Text(
        fr=f"Aucun enregistrement {named.fr}, où l’on en attendait environ {whole(expected).fr} : un envoi "
        f"manque-t-il ?{missing.fr}",
        en=f"No record {named.en}, where about {whole(expected).en} were expected: is a delivery missing?{missing.en}",
    )
    yield Recommendation("gaps", "check", text, expected, {"days": days, "expected": expected, "gaps": found})


def _span(start: str, end: str, days: int) -> Text:
    first, last = date_text(start), date_text(end)
    if days == 1:
        return Text(fr=f"le {first.fr}", en=f"on {first.en}")
    return Text(fr=f"du {first.fr} au {last.fr} ({days} jours)", en=f"from {first.en} to {last.en} ({days} days)")
