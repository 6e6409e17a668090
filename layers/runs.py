"""Runs: immutable folders of published products, and the atomic switch from one to the next."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict

from layers.city import City
from layers.digests import digest_json
from layers.errors import RunError
from layers.home import Home, writing
from layers.lake import layer_table, sync_path
from layers.products import Form, ProductSpec

RUN_ID_LENGTH = 16
_MANIFEST = "manifest.json"
BUILDING = ".building-"
"""Prefix of folders that are no run yet, or no more: the next builder removes them."""
_HISTORY_OF_INPUTS = ("deliveries/", "retention/")


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RunFile(_Model):
    """A file of a run: its path in the run's folder, and what is in it."""

    path: str
    digest: str
    """Canonical digest of the content for a table, of the bytes for any other file."""
    rows: int | None = None


class RunProduct(_Model):
    """A product and the forms in which the run holds it."""

    spec: ProductSpec
    forms: dict[Form, RunFile]


class RunManifest(_Model):
    """Everything about a run but its values. Equal inputs give an equal manifest, the time of building apart."""

    run_id: str
    city_id: str
    as_of: dt.date
    inputs: dict[str, str]
    """Name → digest of all that the products were made from, deliveries included."""
    city: str
    """Digest of the city file."""
    code: str
    lock: str
    parameters: dict[str, Any] = {}
    products: tuple[RunProduct, ...] = ()
    files: dict[str, RunFile] = {}
    """Other files by name: stores, tiles."""
    styles: dict[str, Any] = {}
    figures: dict[str, int | float | str] = {}
    """Counts that go with every map: non localisé, off land, unmapped."""
    built_at: str | None = None
    """UTC time of the build, a side note: no part of the manifest's digest."""

    def product(self, collection_id: str) -> RunProduct:
        """Return the product called ``collection_id``.

        Raises
        ------
        RunError
            If the run has none.
        """
        for product in self.products:
            if product.spec.id == collection_id:
                return product
        raise RunError(f"run {self.run_id} has no product {collection_id!r}")


@dataclass(frozen=True, slots=True)
class Run:
    """A whole run: its folder and its manifest."""

    folder: Path
    manifest: RunManifest

    def path(self, file: RunFile) -> Path:
        """Path of a file of the run."""
        return self.folder / file.path


def compute_run_id(
    *, inputs: Mapping[str, str], city: str, parameters: Mapping[str, Any], as_of: dt.date, code: str, lock: str
) -> str:
    """Identify a run by all that decides its content: 16 hexadecimal digits.

    Parameters
    ----------
    inputs
        Name → digest of layers and deliveries (:func:`lake_inputs`).
    city, code, lock
        Digests of the city file, the code and the exact versions.
    parameters
        JSON values that are not in the city file.
    as_of
        The only clock of analysis.
    """
    decided = {
        "inputs": dict(inputs),
        "city": city,
        "parameters": dict(parameters),
        "as_of": as_of.isoformat(),
        "code": code,
        "lock": lock,
    }
    return digest_json(decided)[:RUN_ID_LENGTH]


def lake_inputs(city: City, home: Home) -> dict[str, str]:
    """Name → digest of every layer of the lake and of every delivery behind it, and what retention took from them."""
    names = [
        *dict.fromkeys(source.layer for source in city.sources),
        *(f"zones_{level.id}" for level in city.zones),
        "land",
    ]
    inputs: dict[str, str] = {}
    for name in names:
        if version := layer_table(home, name).latest():
            inputs[f"layers/{name}"] = version.digest
            inputs |= {key: digest for key, digest in version.inputs.items() if key.startswith(_HISTORY_OF_INPUTS)}
    return dict(sorted(inputs.items()))


def resolve_as_of(city: City, home: Home) -> dt.date:
    """Date at which analysis looks: the city file's, or the day before the latest incident's local date.

    The day of the latest incident is left out because it is seldom whole. Without incidents: the end of the analysis
    period.
    """
    if city.analysis.as_of is not None:
        return city.analysis.as_of
    table = layer_table(home, "incidents")
    latest = pc.max(table.read(["date"]).column("date")).as_py() if table.exists() else None
    return latest - dt.timedelta(days=1) if latest else city.analysis.end


def open_run(home: Home, run_id: str | None = None) -> Run:
    """Open a run and check that it is whole.

    Parameters
    ----------
    run_id
        The run; by default the one that ``runs/current`` points at.

    Raises
    ------
    RunError
        If there is no such run, or its manifest or one of its files is missing or damaged.
    """
    # The link is resolved once: a switch during the reading cannot mix two runs.
    folder = home.current.resolve() if run_id is None else home.runs / run_id
    if run_id is None and not home.current.is_symlink():
        raise RunError(f"{home.root} has no published run yet (calanque build makes one)")
    try:
        document = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
        whole = document["manifest_digest"] == digest_json(document["manifest"])
        manifest = RunManifest.model_validate({**document["manifest"], "built_at": document["built_at"]})
    except FileNotFoundError as error:
        raise RunError(f"{home.runs} has no run {folder.name!r} (calanque runs lists them)") from error
    except (ValueError, KeyError, TypeError) as error:
        raise RunError(f"the manifest of run {folder.name!r} cannot be read: {error}") from error
    if not whole:
        raise RunError(f"the manifest of run {folder.name!r} is damaged: its digest differs from its content")
    lost = [f.path for f in _files(manifest) if not (folder / f.path).exists()]
    if lost:
        raise RunError(f"run {manifest.run_id} has lost {', '.join(lost)}")
    return Run(folder, manifest)


def list_runs(home: Home) -> list[Run]:
    """Whole runs of the home folder, in the order of their building."""
    if not home.runs.is_dir():
        return []
    names = [f.name for f in home.runs.iterdir() if f.is_dir() and not f.is_symlink() and not f.name.startswith(".")]
    runs = [open_run(home, name) for name in names if _is_whole(home, name)]
    return sorted(runs, key=lambda run: (run.manifest.built_at or "", run.manifest.run_id))


def current_run_id(home: Home) -> str | None:
    """Id of the run that is served, or None."""
    return home.current.readlink().name if home.current.is_symlink() else None


def switch_current(home: Home, run_id: str) -> None:
    """Point ``runs/current`` at a run in one step: readers see the old run or the new one."""
    if current_run_id(home) == run_id:
        return
    temporary = home.runs / f".current-{os.getpid()}"
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(run_id, target_is_directory=True)
    temporary.replace(home.current)
    sync_path(home.runs)


class RunBuilder:
    """Build a run in ``runs/.building-<id>/`` and bring it out whole, as a context manager.

    The body fills ``folder`` and calls :meth:`finish`; leaving without it, or by an exception, removes the folder.
    It is the home's only writer meanwhile, so that any other ``.building-*`` belongs to a dead process and is removed.

    Parameters
    ----------
    home
        The home folder.
    run_id
        Identity of the run (:func:`compute_run_id`).
    """

    def __init__(self, home: Home, run_id: str) -> None:
        self.home = home
        self.run_id = run_id
        self.folder = home.runs / f"{BUILDING}{run_id}"
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        self._stack.enter_context(writing(self.home))
        self.home.runs.mkdir(parents=True, exist_ok=True)
        for left_over in [*self.home.runs.glob(f"{BUILDING}*"), *self.home.runs.glob(".current-*")]:
            if left_over.is_symlink():
                left_over.unlink()
            else:
                shutil.rmtree(left_over)
        self.folder.mkdir()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self._stack.close()

    def finish(self, manifest: RunManifest) -> Run:
        """Write the manifest, bring the run out under its id and switch ``runs/current`` to it.

        Raises
        ------
        RunError
            If the manifest is another run's, or names a file that is not there.
        """
        if manifest.run_id != self.run_id:
            raise RunError(f"the manifest is of run {manifest.run_id}, the folder of run {self.run_id}")
        lost = [f.path for f in _files(manifest) if not (self.folder / f.path).exists()]
        if lost:
            raise RunError(f"the manifest of run {self.run_id} names files that are not there: {', '.join(lost)}")
        body = manifest.model_dump(mode="json", exclude={"built_at"})
        built_at = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
        document = {"manifest": body, "manifest_digest": digest_json(body), "built_at": built_at}
        text = json.dumps(document, ensure_ascii=False, indent=1)
        (self.folder / _MANIFEST).write_text(text, encoding="utf-8")
        for path in [*self.folder.rglob("*"), self.folder]:
            if not path.is_symlink():
                sync_path(path)
        final = self.home.runs / self.run_id
        if final.exists():
            # Same id, same content: a whole run is never written twice, a damaged one gives way.
            if _is_whole(self.home, self.run_id):
                switch_current(self.home, self.run_id)
                return open_run(self.home, self.run_id)
            final.rename(self.home.runs / f"{BUILDING}damaged-{self.run_id}")
        self.folder.rename(final)
        sync_path(self.home.runs)
        switch_current(self.home, self.run_id)
        shutil.rmtree(self.home.runs / f"{BUILDING}damaged-{self.run_id}", ignore_errors=True)
        return open_run(self.home, self.run_id)


def _is_whole(home: Home, run_id: str) -> bool:
    try:
        open_run(home, run_id)
    except RunError:
        return False
    return True


def _files(manifest: RunManifest) -> Iterator[RunFile]:
    for product in manifest.products:
        yield from product.forms.values()
    yield from manifest.files.values()
