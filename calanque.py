"""The command line: the whole pipeline on one page.

    calanque build      deliveries → layers → H3 cube → statistics → surfaces → a published run
    calanque serve      the published run, as OGC APIs and a map

Every command is a few lines that call one floor. Floors are imported inside the commands, so that ``--help`` answers
at once. What a person reads goes to stderr (progress) and stdout (the summary, or one JSON document with ``--json``).
"""

from __future__ import annotations

import datetime as dt
import errno
import json
import sys
import time
import traceback
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol
from zoneinfo import ZoneInfo

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Column, Table

from layers.errors import CalanqueError, HomeLockedError
from layers.home import Home, writing

if TYPE_CHECKING:
    from layers.city import City
    from layers.steps import ProgressCallback, StepReport

SAMPLE_CITY = Path(__file__).resolve().parent / "data_samples" / "marseille"
SHOWN_FIGURES = 6
"""Figures of a step in the summary table; ``--json`` has them all."""
SHOWN_ADVICE = 2
"""Sentences of a source's quality report in the table of all sources."""
UNFINISHED_PURGE = (
    "The purge is not over. What is past its period may still be in runs, the one that is served included, until "
    "'calanque purge' or 'calanque build' comes to its end; 'calanque purge --destroy-only' destroys them now."
)
OUTSIDE_CAUSES = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT}
"""Refusals of the operating system that a person can lift: rights, a read-only disk, a full one."""

out = Console()
err = Console(stderr=True)
app = typer.Typer(
    name="calanque",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Spatial intelligence for a city: from its files to hot spots and risk surfaces in QGIS.",
    epilog="Home folder: $CALANQUE_HOME (default ./var). Exit codes: 0 done, 1 something to correct (the message says "
    "what), 2 wrong usage, 3 another command is writing into this home, 70 a defect of Calanque, 130 interrupted.",
)


class Exit(IntEnum):
    """Exit codes (documented in docs/cli.md)."""

    CORRECT = 1
    LOCKED = 3
    DEFECT = 70
    INTERRUPTED = 130


class StepFunction(Protocol):
    """Entry point of a floor."""

    def __call__(self, city: City, home: Home, *, progress: ProgressCallback | None = None) -> StepReport:
        """Bring the floor's products up to date."""


CityOption = Annotated[
    Path,
    typer.Option("--city", help="City file, or the folder that holds city.toml.", show_default="the bundled sample"),
]
HeldCityOption = Annotated[
    Path | None, typer.Option("--city", help="Refuse a home folder that holds another city than this one.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of a table.")]
DebugOption = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]


@app.command()
def sample(*, as_json: JsonOption = False, debug: DebugOption = False) -> None:
    """Generate the deliveries of the bundled sample city, if they are not there already."""
    with _answering(debug=debug):
        made = _ensure_deliveries(SAMPLE_CITY)
        folder = str(SAMPLE_CITY)
        _print({"folder": folder, "generated": made}, as_json=as_json, text=f"Sample city: {folder}")


@app.command()
def ingest(*, city: CityOption = SAMPLE_CITY, as_json: JsonOption = False, debug: DebugOption = False) -> None:
    """Read the deliveries, check every record and write the layers."""
    from layers.ingest import ingest as step

    _pipeline([("ingest", step)], city, as_json=as_json, debug=debug)


@app.command()
def index(*, city: CityOption = SAMPLE_CITY, as_json: JsonOption = False, debug: DebugOption = False) -> None:
    """Index every record on the H3 grid and count (Spark)."""
    from hexgrid.index import index as step

    _pipeline([("index", step)], city, as_json=as_json, debug=debug)


@app.command()
def analyse(*, city: CityOption = SAMPLE_CITY, as_json: JsonOption = False, debug: DebugOption = False) -> None:
    """Compute hot and cold spots and local Moran, per theme and resolution."""
    from spatial.products import analyse as step

    _pipeline([("analyse", step)], city, as_json=as_json, debug=debug)


@app.command()
def surfaces(*, city: CityOption = SAMPLE_CITY, as_json: JsonOption = False, debug: DebugOption = False) -> None:
    """Compute kernel-density risk surfaces on the land polygon."""
    from risk_surfaces.products import surfaces as step

    _pipeline([("surfaces", step)], city, as_json=as_json, debug=debug)


@app.command()
def publish(*, city: CityOption = SAMPLE_CITY, as_json: JsonOption = False, debug: DebugOption = False) -> None:
    """Publish all products as an immutable run and switch to it."""
    from ogc_server.publication import publish as step

    _pipeline([("publish", step)], city, as_json=as_json, debug=debug)


@app.command()
def build(*, city: CityOption = SAMPLE_CITY, as_json: JsonOption = False, debug: DebugOption = False) -> None:
    """Do ingest, index, analyse, surfaces and publish; skip what did not change."""
    _pipeline(_all_steps(), city, as_json=as_json, debug=debug)


@app.command()
def watch(
    *,
    city: CityOption = SAMPLE_CITY,
    whole: Annotated[bool, typer.Option("--build", help="Build and publish, instead of ingesting only.")] = False,
    settle_s: Annotated[float, typer.Option(min=0, help="Seconds for which arriving files must be quiet.")] = 5.0,
    poll_s: Annotated[float, typer.Option(min=1, help="Seconds between two questions to a database.")] = 300.0,
    once: Annotated[bool, typer.Option("--once", help="End after the first ingestion.")] = False,
    debug: DebugOption = False,
) -> None:
    """Ingest each time that deliveries arrive, and ask databases now and then, until it is stopped."""
    with _answering(debug=debug):
        from layers.ingest import ingest as step
        from layers.watching import ended_by_sigterm
        from layers.watching import watch as wait

        steps = _all_steps() if whole else [("ingest", step)]
        with ended_by_sigterm() as stop:
            _ensure_deliveries(city)
            good = wait(
                city,
                lambda loaded: _taken(steps, loaded),
                tell=_tell,
                settle_s=settle_s,
                poll_s=poll_s,
                once=once,
                stop=stop,
            )
        if once and not good:
            raise typer.Exit(Exit.CORRECT)


@app.command()
def purge(
    *,
    city: CityOption = SAMPLE_CITY,
    today: Annotated[
        dt.datetime | None,
        typer.Option("--today", formats=["%Y-%m-%d"], help="Local date to count from.", show_default="the date here"),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go, and change nothing.")] = False,
    destroy_only: Annotated[
        bool, typer.Option("--destroy-only", help="Destroy runs that hold it, the one that is served too; build none.")
    ] = False,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Destroy what is past its sources' retention_days: raw copies, records, and runs; build the city anew."""
    with _answering(debug=debug):
        from layers.retention import purge as purging

        loaded, home = _load(city), Home.from_environment()
        loaded.check_home(home)
        date = _date_here(loaded, today.date() if today else None)
        if dry_run:
            purged = purging.plan_purge(loaded, home, date)
        else:
            _ensure_deliveries(city)
            rebuild = None if destroy_only else lambda: _built(loaded, home)
            try:
                purged = purging.purge(loaded, home, today=date, rebuild=rebuild, publications=_publications(loaded))
            except (CalanqueError, OSError):
                if purging.is_pending(home):
                    _say(UNFINISHED_PURGE)
                raise
        document = {
            "city": loaded.city.id,
            "home": str(home.root),
            "today": date.isoformat(),
            "dry_run": dry_run,
            "purged": [entry.document() for entry in purged.entries],
            "runs": list(purged.runs),
            "sources_without_period": list(purged.unnamed),
            "run": home.current.resolve().name if home.current.is_symlink() else None,
        }
        _print(document, as_json=as_json, text=_purge_table(document))


@app.command()
def serve(
    *,
    city: HeldCityOption = None,
    host: Annotated[
        str, typer.Option(envvar="CALANQUE_HOST", help="Loopback address to listen on; any other is refused.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(envvar="CALANQUE_PORT", min=1, max=65535, help="If taken, the next free one is used.")
    ] = 8010,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Server processes.")] = 1,
    profile: Annotated[
        str,
        typer.Option(envvar="CALANQUE_PROFILE", help="Profile of every caller: analyst, planner, partner, public …"),
    ] = "analyst",
    debug: DebugOption = False,
) -> None:
    """Serve the published run: OGC APIs and the map."""
    with _answering(debug=debug):
        from ogc_server.serve import serve as run_server
        from ogc_server.settings import Settings

        home = Home.from_environment()
        if city is not None:
            _load(city).check_home(home)
        try:
            settings = Settings(home=home.root, profile=profile, host=host, port=port)  # type: ignore[arg-type]
        except ValidationError as error:
            raise typer.BadParameter("; ".join(fault["msg"] for fault in error.errors())) from error
        run_server(settings, workers=workers)


@app.command()
def runs(*, city: HeldCityOption = None, as_json: JsonOption = False, debug: DebugOption = False) -> None:
    """List the runs of this home; the one that is served is marked."""
    with _answering(debug=debug):
        from layers.runs import list_runs

        home = Home.from_environment()
        if city is not None:
            _load(city).check_home(home)
        current = home.current.resolve().name if home.current.is_symlink() else None
        rows = [
            {
                "run": run.manifest.run_id,
                "current": run.manifest.run_id == current,
                "city": run.manifest.city_id,
                "as_of": run.manifest.as_of.isoformat(),
                "built_at": run.manifest.built_at,
                "products": len(run.manifest.products),
            }
            for run in list_runs(home)
        ]
        _print({"home": str(home.root), "runs": rows}, as_json=as_json, text=_runs_table(rows))


@app.command()
def quality(
    source: Annotated[str | None, typer.Argument(help="One source; by default all of them, one line each.")] = None,
    *,
    to: Annotated[Path | None, typer.Option("--out", help="Folder into which the pages and their JSON go.")] = None,
    city: HeldCityOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Show what the last ingestion found about the data of each source, with advice to their producers."""
    with _answering(debug=debug):
        from layers.quality import read_report, report_names, summary_lines, write_reports

        home = _held_home(city)
        reports = [read_report(home, name) for name in ([source] if source else report_names(home))]
        if to is not None:
            _say("\n".join(str(path) for path in write_reports(to, reports) if path.suffix == ".html"))
        table = Table(*_folded("source", "found", "advice"))
        for report in reports:
            headline, advice = summary_lines(report)
            shown = advice if source else advice[:SHOWN_ADVICE]
            more = [f"and {len(advice) - len(shown)} more"] if len(advice) > len(shown) else []
            table.add_row(report.source, _escaped(headline), _escaped("\n".join([*shown, *more])))
        _print({"reports": [report.document for report in reports]}, as_json=as_json, text=table)


@app.command()
def catalogue(
    *,
    as_of: Annotated[
        dt.datetime | None,
        typer.Option("--as-of", formats=["%Y-%m-%d"], help="Date on which sources are late or not."),
    ] = None,
    city: HeldCityOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """List the sources: who makes them, whether they are late, what they hold, which products use them."""
    with _answering(debug=debug):
        from layers.catalogue_records import catalogue_document

        day = as_of.date() if as_of else None
        document = catalogue_document(_held_home(city), as_of=day, language="fr" if as_json else "en")
        table = Table(*_folded("source", "layer", "made by", "state", "latest", "deliveries", "records", "used by"))
        for feature in document["features"]:
            told = feature["properties"]
            table.add_row(
                feature["id"],
                told["themes"][0]["concepts"][0]["id"],
                _escaped(told["contacts"][0]["organization"]),
                told["state"]["title"],
                told["state"]["latest"] or "",
                str(len(told["deliveries"])),
                _number(told["quality"]["records"]),
                f"{len(told['usedBy'])} products" if told["usedBy"] else "",
            )
        _print(document, as_json=as_json, text=table)


@app.command()
def lineage(
    collection: Annotated[str, typer.Argument(help="Collection of a run, for instance hotspots.")],
    *,
    run: Annotated[str | None, typer.Option("--run", help="Another run than the one that is served.")] = None,
    city: HeldCityOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Follow a product back to the files that it was made from."""
    with _answering(debug=debug):
        from layers.lineage import lineage as follow

        found = follow(_held_home(city), run, collection)
        _print(dict(found.document), as_json=as_json, text=_escaped(found.text()))


@app.command()
def doctor(*, city: CityOption = SAMPLE_CITY, as_json: JsonOption = False, debug: DebugOption = False) -> None:
    """Check the machine: Java and Spark, libraries, disk, port, home; say how to repair what is broken."""
    with _answering(debug=debug):
        from ogc_server.doctor import examine

        findings = examine(city, Home.from_environment())
        table = Table(*_folded("check", "state", "found", "to repair it"))
        for finding in findings:
            colour = {"ok": "green", "warning": "yellow", "broken": "red"}[finding.state]
            table.add_row(
                finding.check, f"[{colour}]{finding.state}[/]", _escaped(finding.found), _escaped(finding.repair)
            )
        _print({"checks": [finding.as_dict() for finding in findings]}, as_json=as_json, text=table)
        if any(finding.state == "broken" for finding in findings):
            raise typer.Exit(Exit.CORRECT)


def _all_steps() -> list[tuple[str, StepFunction]]:
    from hexgrid.index import index
    from layers.ingest import ingest
    from ogc_server.publication import publish
    from risk_surfaces.products import surfaces
    from spatial.products import analyse

    return [("ingest", ingest), ("index", index), ("analyse", analyse), ("surfaces", surfaces), ("publish", publish)]


def _date_here(city: City, today: dt.date | None) -> dt.date:
    """Date in the city: what was destroyed stays destroyed, so a date to come is refused."""
    here = dt.datetime.now(ZoneInfo(city.city.timezone)).date()
    if today is not None and today > here:
        raise typer.BadParameter(f"{today} is still to come (it is {here} in {city.city.timezone})")
    return today or here


def _publications(city: City) -> Callable[[Collection[str]], None]:
    """Destroyer of runs outside the home folder."""
    from ogc_server.publication.retention import destroy_published_runs

    return lambda kept: destroy_published_runs(kept, required=city.stores.kind == "postgis")


def _built(city: City, home: Home) -> None:
    for name, step in _all_steps():
        _run_step(name, step, city, home)


def _steps_done(
    steps: Sequence[tuple[str, StepFunction]], city: City, home: Home, run: Callable[[str, StepFunction], StepReport]
) -> list[StepReport]:
    """Run steps, and end a purge that was interrupted."""
    from layers.retention.purge import conclude, resume

    if "ingest" in dict(steps):
        resume(city, home)
    reports = [run(name, step) for name, step in steps]
    if "publish" in dict(steps):
        conclude(city, home, _publications(city))
    return reports


def _taken(steps: Sequence[tuple[str, StepFunction]], city: City) -> str | None:
    """Run the steps without drawing anything; one line on what they did, None where nothing was new."""
    home = Home.from_environment()
    city.check_home(home)
    with writing(home):
        reports = _steps_done(steps, city, home, lambda _, step: step(city, home))
    if all(report.skipped for report in reports):
        return None
    done = ", ".join(report.step for report in reports if not report.skipped)
    figures = ", ".join(f"{name} {_number(value)}" for name, value in reports[0].figures.items() if "." not in name)
    return f"{done} in {sum(report.seconds for report in reports):.1f} s: {figures}"


def _tell(text: str) -> None:
    """Print one line of a service's log, with the local time before it."""
    now = dt.datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
    out.print(f"{now} {text}", markup=False, highlight=False, soft_wrap=True)


def _pipeline(steps: Sequence[tuple[str, StepFunction]], city_path: Path, *, as_json: bool, debug: bool) -> None:
    with _answering(debug=debug):
        _ensure_deliveries(city_path)
        city, home, started = _load(city_path), Home.from_environment(), time.perf_counter()
        city.check_home(home)
        with writing(home):
            reports = _steps_done(steps, city, home, lambda name, step: _run_step(name, step, city, home))
        seconds = time.perf_counter() - started
        run = home.current.resolve().name if home.current.is_symlink() else None
        document = {
            "city": city.city.id,
            "home": str(home.root),
            "run": run,
            "seconds": round(seconds, 3),
            "steps": [
                {
                    "step": r.step,
                    "key": r.key,
                    "skipped": r.skipped,
                    "seconds": round(r.seconds, 3),
                    "figures": r.figures,
                }
                for r in reports
            ],
        }
        _print(document, as_json=as_json, text=_summary(city.city.title.en, reports, seconds))


def _run_step(name: str, step: StepFunction, city: City, home: Home) -> StepReport:
    with _progress(name) as progress:
        report = step(city, home, progress=progress)
    state = "unchanged" if report.skipped else "done"
    err.print(f"{name:<9} {state:<9} {report.seconds:6.1f} s", highlight=False)
    return report


def _held_home(city: Path | None) -> Home:
    """Home folder of the environment; refused when it holds another city than the one named."""
    home = Home.from_environment()
    if city is not None:
        _load(city).check_home(home)
    return home


def _load(path: Path) -> City:
    from layers.city import load_city

    return load_city(path)


def _ensure_deliveries(city_path: Path) -> bool:
    """Generate the sample's deliveries when ``city_path`` is the sample; other cities bring their own."""
    if city_path.resolve() not in {SAMPLE_CITY, SAMPLE_CITY / "city.toml"}:
        return False
    from data_samples.marseille.generator import ensure_sample

    with _progress("sample") as progress:
        made = ensure_sample(SAMPLE_CITY, progress=progress)
    if made:
        _say("sample    generated")
    return made


@contextmanager
def _progress(name: str) -> Iterator[Callable[[str, float], None]]:
    """Progress bar on stderr; nothing is drawn when stderr is not a terminal."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.fields[step]:<9}"),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task("", total=1.0, step=name)
        yield lambda message, fraction: bar.update(task, description=message, completed=fraction)


@contextmanager
def _answering(*, debug: bool) -> Iterator[None]:
    """Turn an exception into one message and an exit code."""
    try:
        yield
    except KeyboardInterrupt:
        err.print("Interrupted. Nothing is lost: the same command goes on where this one stopped.")
        raise typer.Exit(Exit.INTERRUPTED) from None
    except CalanqueError as error:
        if debug:
            _say(traceback.format_exc())
        _say(f"error: {error}")
        raise typer.Exit(Exit.LOCKED if isinstance(error, HomeLockedError) else Exit.CORRECT) from error
    except (typer.Exit, typer.Abort, typer.BadParameter):
        raise
    except Exception as error:
        if debug:
            raise
        if isinstance(error, OSError) and error.errno in OUTSIDE_CAUSES:
            _say(f"error: {error.filename or 'the disk'}: {error.strerror}")
            raise typer.Exit(Exit.CORRECT) from error
        _say(f"A defect of Calanque, please report it: {type(error).__name__}: {error}")
        _say("The same command with --debug shows where it happened.")
        raise typer.Exit(Exit.DEFECT) from error


def _say(text: str) -> None:
    err.print(text, markup=False, highlight=False, soft_wrap=True)


def _folded(*names: str) -> list[Column]:
    """Columns that wrap instead of hiding the end of a text."""
    return [Column(name, overflow="fold") for name in names]


def _escaped(text: str) -> str:
    return text.replace("[", r"\[")


def _print(document: dict[str, Any], *, as_json: bool, text: str | Table) -> None:
    if as_json:
        sys.stdout.write(json.dumps(document, ensure_ascii=False, indent=1, default=str) + "\n")
    else:
        out.print(text, soft_wrap=isinstance(text, str))


def _summary(title: str, reports: Sequence[StepReport], seconds: float) -> Table:
    table = Table(
        *_folded("step", "state", "seconds", "figures"), title=f"{title}: {seconds:.1f} s", title_justify="left"
    )
    for report in reports:
        figures = [f"{name} {_number(value)}" for name, value in report.figures.items()]
        more = [f"and {len(figures) - SHOWN_FIGURES} more"] if len(figures) > SHOWN_FIGURES else []
        shown = ", ".join(figures[:SHOWN_FIGURES] + more)
        table.add_row(report.step, "unchanged" if report.skipped else "done", f"{report.seconds:.1f}", _escaped(shown))
    return table


def _purge_table(document: dict[str, Any]) -> Table:
    verb = "would be destroyed" if document["dry_run"] else "destroyed"
    runs = ", ".join(document["runs"]) or "none"
    table = Table(
        *_folded("source", "before", "raw rows", "records", "earlier versions", "rejects"),
        title=f"{verb.capitalize()} on {document['today']}; runs: {runs}",
        title_justify="left",
    )
    for entry in document["purged"]:
        counts = [_number(entry[name]) for name in ("raw_rows", "records", "earlier_versions", "rejects")]
        table.add_row(entry["source"], entry["before"], *counts)
    if unnamed := document["sources_without_period"]:
        table.caption = f"In the lake and no more in the city file, so kept: {_escaped(', '.join(unnamed))}"
    return table


def _runs_table(rows: Sequence[dict[str, Any]]) -> Table:
    table = Table("", "run", "city", "as of", "built at", "products")
    for row in rows:
        mark = "→" if row["current"] else ""
        table.add_row(mark, row["run"], row["city"], row["as_of"], str(row["built_at"]), str(row["products"]))
    return table


def _number(value: float | str) -> str:
    return f"{value:,}".replace(",", " ") if isinstance(value, int) else f"{value}"


def main() -> None:
    """Entry point of the console script."""
    app()


if __name__ == "__main__":
    main()
