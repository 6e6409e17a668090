"""The quality report of a source: what its producer should know about the last delivery, as JSON and as one page.

The page is drawn from the document alone: whoever holds the JSON can draw the same page again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from layers.city import City
from layers.declared_sources import Source
from layers.errors import LakeError
from layers.home import Home, replace_file
from layers.quality.page import draw_page
from layers.quality.recommendations import recommend
from layers.quality.sections import classes, completeness, drift, in_time, last_delivery, positions, rejects
from layers.quality.wording import counted, percent
from layers.steps import latest_stage
from layers.values import Text

FOLDER: Final = "quality"
"""Folder of the reports in the ingestion's stage."""
Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Report:
    """A source's report; ``document`` is JSON."""

    source: str
    document: Document

    def html(self) -> str:
        """Draw the report as one page that needs nothing else: French first, English second."""
        return draw_page(self.document)


def source_report(  # noqa: PLR0913 - each is a different finding of the ingestion
    source: Source,
    city: City,
    *,
    figures: Mapping[str, int],
    reasons: Mapping[str, int],
    unmapped: Mapping[str, int],
    profiles: Sequence[Mapping[str, Any]],
    records: pa.Table | None,
    masked: Mapping[str, Mapping[str, int]],
    deliveries: Sequence[Mapping[str, Any]],
) -> Report:
    """Put together what ingestion found about a source.

    Parameters
    ----------
    source, city
        As the city file declares them.
    figures
        Counts of the source over all deliveries: ``rows``, ``accepted``, ``rejected``, ``equal_rows`` …
    reasons, unmapped
        Reason → faults and unknown code → rows, over all deliveries.
    profiles
        Documents of :class:`~layers.quality.profile.Profile`, one per delivery in their order; the last is reported.
    records
        Present records of the source: ``located``, ``on_land``, ``located_by``, ``precision_m``, ``zone_<level>``, as
        far as the layer has them; None when the layer has no records.
    masked
        Column → kind of personal data → values masked.
    deliveries
        ``name``, ``digest``, ``rows`` and ``order`` of each, in their order.

    Returns
    -------
    Report
    """
    current = profiles[-1] if profiles else None
    document: Document = {
        "source": source.id,
        "layer": source.layer,
        "title": source.title.model_dump(),
        "organisation": source.organisation,
        "city": city.city.title.model_dump(),
        "deliveries": [dict(delivery) for delivery in deliveries],
        "figures": dict(sorted(figures.items())),
        "last": last_delivery(current, figures),
        "completeness": completeness(current, source),
        "positions": positions(current, records, city, source.layer),
        "duplicates": {
            "equal_rows": figures.get("equal_rows", 0),
            "near_duplicates": figures.get("near_duplicates", 0),
            "merged": figures.get("merged", 0),
            "repeated_ids": reasons.get("duplicate_record_id", 0),
        },
        "time": in_time(current, profiles, source),
        "classes": classes(current, city, source.layer),
        "rejects": rejects(current, reasons, source),
        "unmapped": dict(sorted(unmapped.items(), key=lambda item: (-item[1], item[0]))),
        "masked": {
            column: dict(sorted(kinds.items())) for column, kinds in sorted(masked.items()) if any(kinds.values())
        },
        "drift": drift(profiles, source),
    }
    document["recommendations"] = [r.document() for r in recommend(document, source)]
    document["headline"] = _headline(document).model_dump()
    return Report(source.id, document)


def write_reports(folder: Path, reports: Sequence[Report]) -> list[Path]:
    """Write ``quality/<source>.json`` and ``.html`` in an ingestion's stage, or in any other folder.

    Returns
    -------
    list of Path
        The files, in the order of the reports.
    """
    written = []
    for report in reports:
        text = json.dumps(report.document, ensure_ascii=False, indent=1)
        for suffix, content in (("json", text), ("html", report.html())):
            path = folder / FOLDER / f"{report.source}.{suffix}"
            replace_file(path, content.encode())
            written.append(path)
    return written


def read_report(home: Home, source: str) -> Report:
    """Read the report that the last ingestion made of a source.

    Raises
    ------
    LakeError
        If nothing has been ingested, or no source of that name has a report.
    """
    known = report_names(home)
    if source not in known:
        raise LakeError(
            f"no quality report of source {source!r} in {home.root} (there are: {', '.join(known) or 'none'})"
        )
    path = _reports_folder(home) / f"{source}.json"
    return Report(source, json.loads(path.read_text(encoding="utf-8")))


def report_names(home: Home) -> list[str]:
    """Sources that have a report, in alphabetical order.

    Raises
    ------
    LakeError
        If nothing has been ingested.
    """
    return sorted(path.stem for path in _reports_folder(home).glob("*.json"))


def summary_lines(report: Report, language: str = "en") -> tuple[str, list[str]]:
    """Headline of a report, and its advice to correct or to check, for a terminal."""
    advice = [r["text"][language] for r in report.document["recommendations"] if r["level"] in {"correct", "check"}]
    return report.document["headline"][language], advice


def _reports_folder(home: Home) -> Path:
    stage = latest_stage(home, "ingest")
    if stage is None:
        raise LakeError(f"{home.root} has no layers yet (calanque ingest makes them)")
    return stage.folder / FOLDER


def _headline(document: Document) -> Text:
    """One sentence: how much was taken, and how much there is to do."""
    last = document["last"]
    if not last["rows"]:
        return Text(fr="Aucune ligne reçue.", en="No row received.")
    urgent = sum(1 for r in document["recommendations"] if r["level"] == "correct")
    check = sum(1 for r in document["recommendations"] if r["level"] == "check")
    rows = counted(last["rows"], ("ligne reçue", "lignes reçues"), ("row received", "rows received"))
    taken = percent(last["accepted"] / last["rows"])
    todo = counted(urgent, ("point à corriger", "points à corriger"), ("thing to correct", "things to correct"))
    look = counted(check, ("point à vérifier", "points à vérifier"), ("thing to check", "things to check"))
    if not urgent and not check:
        return Text(
            fr=f"{rows.fr}, {taken.fr} retenues. Rien à corriger.",
            en=f"{rows.en}, {taken.en} kept. Nothing to correct.",
        )
    fr = " et ".join(part.fr for part, number in ((todo, urgent), (look, check)) if number)
    en = " and ".join(part.en for part, number in ((todo, urgent), (look, check)) if number)
    return Text(fr=f"{rows.fr}, {taken.fr} retenues : {fr}.", en=f"{rows.en}, {taken.en} kept: {en}.")
