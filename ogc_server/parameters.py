"""Query parameters, read strictly: an unknown name or an impossible value is an error, never ignored.

A parameter that a server ignores turns a question into another one, and its answer into a wrong one.
"""

from __future__ import annotations

import datetime as dt
import math
import re
import unicodedata
from collections.abc import Collection, Mapping
from typing import Final

from starlette.datastructures import QueryParams

from ogc_server.errors import Language, OgcError, bad_parameter

Parameters = Mapping[str, str]
DOCUMENT: Final = frozenset({"f", "lang"})
"""Parameters of every document: encoding and language."""

_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,19}")
_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]{1,30}(?:\.[0-9]{0,30})?|\.[0-9]{1,30})(?:[eE][+-]?[0-9]{1,3})?")
_INSTANT: Final = re.compile(
    r"(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:[Tt ](?P<time>[0-9]{2}:[0-9]{2}:[0-9]{2})(?P<fraction>\.[0-9]{1,12})?(?P<zone>[Zz]|[+-][0-9]{2}:[0-9]{2})?)?"
)


def strict(query: QueryParams, *, known: Collection[str] = DOCUMENT) -> dict[str, str]:
    """Return the parameters of a request as a dictionary.

    Parameters
    ----------
    query
        Query string.
    known
        Names that the operation defines.

    Raises
    ------
    OgcError
        400 for an unknown or repeated name, or a control character in a value.
    """
    values: dict[str, str] = {}
    for name, value in query.multi_items():
        if name not in known:
            shown = re.sub(r"[^\w.:-]", "?", name)[:40]
            accepted = ", ".join(sorted(known)) or "—"
            raise bad_parameter(
                shown,
                f"inconnu ici. Paramètres acceptés : {accepted}.",
                f"unknown here. Accepted parameters: {accepted}.",
            )
        if name in values:
            raise bad_parameter(name, "donné plusieurs fois.", "given several times.")
        if not is_text(value):
            raise bad_parameter(name, "contient un caractère de contrôle.", "contains a control character.")
        values[name] = value
    return values


def is_text(value: str) -> bool:
    """Tell whether a value may be a text of the data: no control characters (PostgreSQL refuses NUL) but new lines."""
    return not any(unicodedata.category(c) in {"Cc", "Cs"} and c not in "\t\n\r" for c in value)


def integer(values: Parameters, name: str, *, default: int, low: int, high: int | None = None) -> int:
    """Read an integer between ``low`` and ``high`` (both included)."""
    text = values.get(name)
    if text is None:
        return default
    if not _INTEGER.fullmatch(text):
        raise bad_parameter(name, "un nombre entier est attendu.", "an integer is expected.")
    value = int(text)
    if value < low or (high is not None and value > high):
        bounds_fr = f"au moins {low}" if high is None else f"entre {low} et {high}"
        bounds_en = f"at least {low}" if high is None else f"between {low} and {high}"
        raise bad_parameter(name, f"une valeur {bounds_fr} est attendue.", f"a value {bounds_en} is expected.")
    return value


def boolean(values: Parameters, name: str, *, default: bool = False) -> bool:
    """Read ``true`` or ``false``."""
    text = values.get(name)
    if text is None:
        return default
    if text not in {"true", "false"}:
        raise bad_parameter(name, "« true » ou « false » est attendu.", "'true' or 'false' is expected.")
    return text == "true"


def number(text: str, name: str) -> float:
    """Read a finite decimal number."""
    if _NUMBER.fullmatch(text):
        value = float(text)
        if math.isfinite(value):
            return value
    raise bad_parameter(name, "un nombre fini est attendu.", "a finite number is expected.")


def names(values: Parameters, name: str, *, known: Collection[str]) -> tuple[str, ...] | None:
    """Read a comma-separated list of names, each one of ``known``; None when the parameter is absent."""
    text = values.get(name)
    if text is None:
        return None
    chosen = tuple(dict.fromkeys(part for part in text.split(",") if part))
    if unknown := [c for c in chosen if c not in known]:
        shown = re.sub(r"[^\w.:-]", "?", unknown[0])[:40]
        raise bad_parameter(name, f"« {shown} » n’existe pas ici.", f"there is no '{shown}' here.")
    if not chosen:
        raise bad_parameter(name, "au moins un nom est attendu.", "at least one name is expected.")
    return chosen


def instant(text: str, name: str, *, end: bool = False) -> dt.datetime | None:
    """Read an RFC 3339 date-time, or a full date, as UTC; a time without zone is UTC.

    Parameters
    ----------
    end
        A date stands for its last microsecond instead of its first.

    Returns
    -------
    datetime or None
        None for years that no calendar library reads (0000), which clients send for "no bound".
    """
    found = _INSTANT.fullmatch(text)
    if not found:
        raise _bad_time(name)
    if found["date"].startswith("0000"):
        return None
    try:
        day = dt.date.fromisoformat(found["date"])
        if found["time"] is None:
            return dt.datetime.combine(day, dt.time.max if end else dt.time.min, dt.UTC)
        # 23:59:60 is a valid RFC 3339 time; no clock of ours has leap seconds
        clock = re.sub(r":60$", ":59", found["time"])
        # digits, not a float: .000009 times a million is less than 9
        micro = int((found["fraction"] or ".0")[1:7].ljust(6, "0"))
        zone = (found["zone"] or "Z").upper().replace("Z", "+00:00")
        return dt.datetime.fromisoformat(f"{day}T{clock}.{micro:06d}{zone}").astimezone(dt.UTC)
    except (ValueError, OverflowError):
        raise _bad_time(name) from None


def interval(values: Parameters, name: str = "datetime") -> tuple[dt.datetime | None, dt.datetime | None] | None:
    """Read ``datetime``: an instant, a date, or an interval whose open ends are ``..`` or empty.

    Returns
    -------
    tuple or None
        First and last instant in UTC, both included, None where open; None when the parameter is absent.
    """
    text = values.get(name)
    if text is None:
        return None
    parts = text.split("/")
    if len(parts) == 1:
        return instant(text, name), instant(text, name, end=True)
    if len(parts) != 2:
        raise _bad_time(name)
    start = None if parts[0] in {"", ".."} else instant(parts[0], name)
    end = None if parts[1] in {"", ".."} else instant(parts[1], name, end=True)
    if start and end and end < start:
        raise bad_parameter(name, "la fin précède le début.", "the end is before the start.")
    return start, end


def _bad_time(name: str) -> OgcError:
    return bad_parameter(
        name,
        "date ou intervalle RFC 3339 attendu, par exemple 2024-05-01 ou 2024-05-01T00:00:00Z/...",
        "an RFC 3339 date or interval is expected, for example 2024-05-01 or 2024-05-01T00:00:00Z/...",
    )


def encoding(values: Parameters, accept: str | None, *, offered: Mapping[str, str]) -> str:
    """Choose the encoding of the answer.

    Parameters
    ----------
    values
        Query parameters; ``f`` decides when it is there.
    accept
        Header ``Accept``.
    offered
        Short name → media type; the first one is the default.

    Raises
    ------
    OgcError
        400 for an ``f`` that is not offered. An ``Accept`` that nothing satisfies gets the default.
    """
    if (wanted := values.get("f")) is not None:
        if wanted not in offered:
            choice = ", ".join(offered)
            raise bad_parameter("f", f"valeurs acceptées : {choice}.", f"accepted values: {choice}.")
        return wanted
    default = next(iter(offered))
    best, best_rank = default, (0.0, 0)
    for position, part in enumerate((accept or "").split(",")[:50]):
        media, _, options = part.strip().partition(";")
        quality = _quality(options)
        for short, offer in offered.items():
            known = {offer.partition(";")[0], "application/json" if short == "json" else offer}
            if media.strip().lower() in known and (quality, -position) > best_rank and quality > 0:
                best, best_rank = short, (quality, -position)
                break
        if media.strip() == "*/*" and quality > best_rank[0]:
            best, best_rank = default, (quality, -position)
    return best


def _quality(options: str) -> float:
    found = re.search(r"(?:^|;)\s*q=([^;]*)", options)
    if not found:
        return 1.0
    return float(found[1]) if re.fullmatch(r"[01](\.[0-9]{0,3})?", found[1].strip()) else 0.0


def language(values: Parameters, accept_language: str | None) -> Language:
    """Choose French or English: ``lang`` first, then ``Accept-Language``; French by default."""
    if (wanted := values.get("lang")) is not None:
        if wanted[:2].lower() not in {"fr", "en"}:
            raise bad_parameter("lang", "« fr » ou « en » est attendu.", "'fr' or 'en' is expected.")
        return "en" if wanted[:2].lower() == "en" else "fr"
    best: Language = "fr"
    best_quality = 0.0
    for part in (accept_language or "").split(",")[:20]:
        tag, _, options = part.strip().partition(";")
        quality = _quality(options)
        if tag[:2].lower() in {"fr", "en"} and quality > best_quality:
            best, best_quality = ("en" if tag[:2].lower() == "en" else "fr"), quality
    return best
