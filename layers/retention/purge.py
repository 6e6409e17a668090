"""The purge: what is past its period is destroyed, and what was made of it is destroyed or made anew.

The order survives a crash at any point: what is to go is noted; the cut-offs move, and from then on ingestion refuses
such rows; they leave the lake's copies of deliveries; all that was made of these leaves the lake; the city is built
anew; the runs that were made before go. The note goes last, so that a purge, or a build, ends what another one began.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

from layers.city import City
from layers.home import Home, claim_home, writing
from layers.retention.ageing import held_in_order, past_rows
from layers.retention.counting import count_records
from layers.retention.cutoffs import move_cutoffs, read_cutoffs
from layers.retention.destruction import clear_lake, destroy_runs, losses, stale_runs, without_rows
from layers.retention.journal import Entry, Journal, add_to_journal, close_journal, read_journal, write_journal
from layers.runs import list_runs

Publications = Callable[[Collection[str]], None]
"""Destroys every run that was published elsewhere, save those of these ids."""


@dataclass(frozen=True, slots=True)
class Purged:
    """What went, or would go.

    ``entries`` say it by source and ``runs`` are those that held some of it. ``unnamed`` are sources that the lake
    holds and the city file names no more: they have no period, and nothing of them goes.
    """

    entries: tuple[Entry, ...]
    runs: tuple[str, ...]
    unnamed: tuple[str, ...]


def plan_purge(city: City, home: Home, today: dt.date) -> Purged:
    """Find what is past its period, and change nothing.

    Parameters
    ----------
    city
        City file: sources with ``retention_days`` lose what is older.
    home
        Home folder.
    today
        Local date; the machine's clock is not asked.
    """
    entries = []
    lost = {source.id: losses(home, source.id) for source in city.sources}
    known = read_cutoffs(home)
    for source in city.sources:
        if source.retention_days is None:
            continue
        before = today - min(dt.timedelta(days=source.retention_days), today - dt.date.min)
        before = max(before, known.get(source.id, before))
        found = past_rows(source, held_in_order(source, city, home), city, before)
        rows = {past.raw.received.digest: len(past.rows) for past in found if len(past.rows)}
        if not rows:
            continue
        for digest, number in rows.items():
            lost[source.id][digest] += number
        entries.append(Entry(today, source.id, before, rows, **count_records(source, found, city, before, home)))
    runs = stale_runs(home, lost)
    if runs and not entries:  # put back from a copy, or left by hand: logged under the sources that lost rows
        entries = [Entry(today, source, before, {}) for source, before in sorted(known.items())]
    named = {source.id for source in city.sources}
    unnamed = sorted(path.name for path in home.raw.iterdir() if path.name not in named) if home.raw.is_dir() else []
    return Purged(tuple(entries), tuple(runs), tuple(unnamed))


def purge(
    city: City, home: Home, *, today: dt.date, rebuild: Callable[[], None] | None, publications: Publications
) -> Purged:
    """Destroy what is past its period, here and in what was made of it.

    Parameters
    ----------
    city, home
        The city, and the home folder, of which the caller becomes the only writer.
    today
        Local date.
    rebuild
        Builds and publishes the city. None: runs that hold something of it are destroyed, the one that is served
        included, and the next build makes a new one.
    publications
        Destroys runs that were published elsewhere (:data:`Publications`).

    Returns
    -------
    Purged
        What went, with what an interrupted purge had left to do.

    Raises
    ------
    CalanqueError
        If the city cannot be built: what was past its period has left the lake, and the runs stay until a purge or a
        build comes to its end.
    """
    claim_home(home, city.city.id)
    with writing(home):
        entries: list[Entry] = []
        runs: list[str] = []
        _carry_out(city, home, rebuild, publications, entries, runs)
        plan = plan_purge(city, home, today)
        if plan.entries:
            add_to_journal(home, plan.entries, plan.runs)
            _carry_out(city, home, rebuild, publications, entries, runs)
        return Purged(tuple(entries), tuple(dict.fromkeys(runs)), plan.unnamed)


def is_pending(home: Home) -> bool:
    """Whether a purge has begun and is not over."""
    return read_journal(home) is not None


def _carry_out(
    city: City,
    home: Home,
    rebuild: Callable[[], None] | None,
    publications: Publications,
    entries: list[Entry],
    runs: list[str],
) -> None:
    while read_journal(home) is not None:  # building may bring more: records delivered again, now older
        resume(city, home)
        if rebuild is not None:
            rebuild()
        if (journal := conclude(city, home, publications)) is not None:
            entries += journal.entries
            runs += journal.runs


def resume(city: City, home: Home) -> None:
    """Take what a purge has noted out of the lake, if one is not over; ingestion then makes the layers anew.

    The caller is the home's only writer.
    """
    journal = read_journal(home)
    if journal is None:
        return
    cutoffs = journal.cutoffs
    known = move_cutoffs(home, cutoffs)
    if journal.cleared:
        return
    for source in city.sources:
        if source.id not in cutoffs:
            continue
        before = known[source.id]
        for past in past_rows(source, held_in_order(source, city, home), city, before):
            if len(past.rows):
                without_rows(past.raw, past.rows, source, before)
    clear_lake(home, cutoffs)
    write_journal(home, replace(journal, cleared=True))


def conclude(city: City, home: Home, publications: Publications) -> Journal | None:
    """Destroy the runs that hold something of what a purge took away, log it, and end the purge, if there is one.

    The caller is the home's only writer, and has built the city unless its runs are to go without a new one.

    Returns
    -------
    Journal or None
        What was destroyed.
    """
    journal = read_journal(home)
    if journal is None or not journal.cleared:
        return None  # nothing to end, or what was made of it is in the lake still
    runs = stale_runs(home, {source.id: losses(home, source.id) for source in city.sources})
    journal = replace(journal, runs=tuple(sorted({*journal.runs, *runs})))
    write_journal(home, journal)
    destroy_runs(home, runs)
    publications({run.manifest.run_id for run in list_runs(home)})
    close_journal(home, journal)
    return journal
