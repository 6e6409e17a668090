"""Destroying rows of deliveries, what the lake made of them, and runs that hold them."""

from __future__ import annotations

import datetime as dt
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from layers.city import Source
from layers.home import Home
from layers.lake import sync_path
from layers.raw_copies import CopyWriter, RawDelivery, raw_deliveries, remove_others, stored_delivery
from layers.runs import BUILDING, Run, current_run_id, list_runs

RETENTION = "retention/"
"""Prefix of the inputs that say what the deliveries had lost when a layer was made."""
_TEMPORARY = re.compile(r"\..+\.\d+")
"""Name of a file that was being written when a process died (:func:`layers.home.replace_file`)."""
_TIMES = frozenset({"datetime", "date"})


def without_rows(raw: RawDelivery, rows: NDArray[np.int64], source: Source, before: dt.date) -> RawDelivery:
    """Write a delivery again without some rows; the copy that had them is deleted. Other rows keep their numbers.

    Parameters
    ----------
    raw
        The delivery.
    rows
        Numbers of the rows that go.
    source
        Its source.
    before
        Date before which records go, noted in the marker.
    """
    watermark = _watermark(raw, source)
    lost = False
    writer = CopyWriter(raw.folder, raw.columns, has_geometry=raw.has_geometry)
    try:
        for batch in raw.batches():
            goes = np.isin(batch.rows, rows)
            kept = pa.array(~goes)
            if watermark is not None:
                lost |= _holds(batch.table.column(watermark[0]).filter(pa.array(goes)), watermark[1])
            geometry = batch.geometry.filter(kept) if batch.geometry is not None else None
            if not goes.all():
                writer.write(batch.table.filter(kept), batch.rows[~goes], geometry)
        body: dict[str, Any] = {key: value for key, value in raw.marker.items() if key != "marker"}
        body |= {"purged_before": before.isoformat(), "purged_rows": raw.purged_rows + len(rows)}
        if lost:  # the next pull asks for everything, for the highest value may be the id of a record
            body["extra"] = {key: value for key, value in raw.extra.items() if key != "pull"}
        return writer.finish(body)
    except BaseException:
        writer.abandon()
        raise


def _watermark(raw: RawDelivery, source: Source) -> tuple[str, str] | None:
    """Column and highest value of a pull, where it can name a record."""
    column = source.database.watermark if source.database else None
    noted = (raw.extra.get("pull") or {}).get("watermark")
    if column is None or column not in raw.columns or noted is None or noted["type"] in _TIMES:
        return None
    return column, noted["value"]


def _holds(values: pa.ChunkedArray, text: str) -> bool:
    return bool(pc.any(pc.equal(values.cast(pa.string()), text)).as_py())


def clear_lake(home: Home, sources: Iterable[str]) -> None:
    """Delete all that was made of deliveries: layers, rejects, cube, products of steps, and what crashes left of them.

    All goes, not only what held a record: then nothing has to be looked for, and the next build makes the same again.
    Accepted rows of other sources stay; a run that is served needs none of this.
    """
    for folder in (home.layers, home.rejects, home.cube, home.stages, *(home.accepted / one for one in sources)):
        if folder.exists():
            shutil.rmtree(folder)
    for folder in home.raw.glob("*/*"):
        remove_others(folder, stored_delivery(folder))
        sync_path(folder if folder.is_dir() else folder.parent)
    for folder in (home.root, home.state, *(path for path in home.lake.rglob("*") if path.is_dir())):
        for path in folder.iterdir() if folder.is_dir() else ():
            if path.is_file() and _TEMPORARY.fullmatch(path.name):
                path.unlink()
    for folder in (home.accepted, home.lake):
        if folder.is_dir():
            sync_path(folder)


def losses(home: Home, source: str) -> dict[str, int]:
    """Digest of each delivery that the lake holds of a source → rows of it that were destroyed."""
    return {raw.received.digest: raw.purged_rows for raw in raw_deliveries(source, home)}


def stale_runs(home: Home, lost: Mapping[str, Mapping[str, int]]) -> list[str]:
    """Runs made when a delivery had lost fewer rows than now: they may hold some of them.

    Parameters
    ----------
    lost
        Source → digest of a delivery → rows lost.
    """
    return [run.manifest.run_id for run in list_runs(home) if _is_stale(run, lost)]


def _is_stale(run: Run, lost: Mapping[str, Mapping[str, int]]) -> bool:
    inputs = run.manifest.inputs
    for source, number, digest in _deliveries(inputs):
        now = lost.get(source, {}).get(digest, 0)
        if now > int(inputs.get(f"{RETENTION}{source}/{number}", "0")):
            return True
    return False


def _deliveries(inputs: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    for name, digest in inputs.items():
        kind, _, rest = name.partition("/")
        if kind == "deliveries":
            source, _, number = rest.rpartition("/")
            yield source, number, digest


def destroy_runs(home: Home, run_ids: Iterable[str]) -> None:
    """Destroy runs, the one that is served included, and what is no whole run.

    A run disappears by one rename. The caller is the home's only writer.
    """
    if not home.runs.is_dir():
        return
    for run_id in run_ids:
        if current_run_id(home) == run_id:
            home.current.unlink()
        folder = home.runs / run_id
        if folder.is_dir():
            folder.rename(home.runs / f"{BUILDING}destroyed-{run_id}")
    sync_path(home.runs)
    whole = {run.folder.name for run in list_runs(home)}
    for path in home.runs.iterdir():
        if path.is_symlink():
            if path != home.current or path.readlink().name not in whole:
                path.unlink()
        elif path.is_dir() and path.name not in whole:
            shutil.rmtree(path)
    sync_path(home.runs)
