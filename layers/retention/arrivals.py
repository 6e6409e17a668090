"""Records that were destroyed, or are past their period, and are delivered again: they do not come back."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from zoneinfo import ZoneInfo

from layers.city import City, Source
from layers.home import Home
from layers.raw_copies import RawDelivery, raw_deliveries
from layers.retention.ageing import PastRows, past_rows
from layers.retention.destruction import losses, stale_runs, without_rows
from layers.retention.journal import Entry, add_to_journal, log


def forget_expired(
    source: Source, raws: Sequence[RawDelivery], city: City, home: Home, cutoff: dt.date
) -> list[RawDelivery]:
    """Destroy the rows of just received deliveries that begin before a source's cut-off.

    Where they are later versions of records that the lake holds, those go too; layers and runs that were made before
    may hold these, so the next purge makes them anew.

    Parameters
    ----------
    source
        The source.
    raws
        Its deliveries, in the order in which they count.
    city, home
        Its city, and the home folder, of which the caller is the only writer.
    cutoff
        The source's cut-off.

    Returns
    -------
    list of RawDelivery
        The same deliveries without those rows.
    """
    counted = {raw.received.digest for raw in raws}
    others = [raw for raw in raw_deliveries(source.id, home) if raw.received.digest not in counted]
    found = [past for past in past_rows(source, [*others, *raws], city, cutoff) if len(past.rows)]
    if not found:
        return list(raws)
    entry = Entry(_received_on(found, city), source.id, cutoff, {p.raw.received.digest: len(p.rows) for p in found})
    if any(len(past.dragged) for past in found):
        lost = losses(home, source.id)
        for digest, rows in entry.rows.items():
            lost[digest] += rows
        add_to_journal(home, [entry], stale_runs(home, {source.id: lost}))
    else:
        log(home, [entry])
    written = {p.raw.received.digest: without_rows(p.raw, p.rows, source, cutoff) for p in found}
    return [written.get(raw.received.digest, raw) for raw in raws]


def _received_on(found: Sequence[PastRows], city: City) -> dt.date:
    """Local day on which the last of them came: ingestion asks no clock."""
    return max(past.raw.received_at for past in found).astimezone(ZoneInfo(city.city.timezone)).date()
