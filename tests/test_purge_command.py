"""The command purge: what it says, and what it refuses."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

import calanque
from layers.errors import DeliveryError
from layers.ingest import ingest
from layers.retention.purge import is_pending
from support.delivered_city import CITY_TOML, DeliveredCity, row


@pytest.fixture
def city(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DeliveredCity:
    """One record of May 2024 and one of July, kept for 200 days."""
    made = DeliveredCity.at(tmp_path)
    made.write_toml(CITY_TOML.replace('mode = "complete"', 'mode = "increment"\nretention_days = 200'))
    made.deliver([row(1, date="05/05/2024"), row(2, date="05/07/2024")])
    ingest(made.load(), made.home)
    monkeypatch.setenv("CALANQUE_HOME", str(made.home.root))
    return made


def purge(city: DeliveredCity, *options: str) -> Result:
    command = ["purge", "--today", "2024-12-31", "--city", str(city.folder), *options]
    return CliRunner().invoke(calanque.app, command, terminal_width=200)


def test_a_date_to_come_is_refused(city: DeliveredCity):
    """What was destroyed by a slip of the finger would be gone."""
    result = CliRunner().invoke(calanque.app, ["purge", "--today", "2999-01-01", "--city", str(city.folder)])
    assert result.exit_code == 2
    assert "to come" in result.stderr


def test_a_dry_run_tells_counts_and_destroys_nothing(city: DeliveredCity):
    assert "Would be destroyed on 2024-12-31" in purge(city, "--dry-run").stdout
    said = json.loads(purge(city, "--dry-run", "--json").stdout)
    (entry,) = said["purged"]
    assert (said["dry_run"], entry["source"], entry["before"]) == (True, "log", "2024-06-14")
    assert (entry["raw_rows"], entry["records"], entry["rejects"]) == (1, 1, 0)
    assert not is_pending(city.home)


def test_destroying_only_says_what_went(city: DeliveredCity):
    said = json.loads(purge(city, "--destroy-only", "--json").stdout)
    assert (said["purged"][0]["raw_rows"], said["runs"], said["run"]) == (1, [], None)
    assert json.loads(purge(city, "--destroy-only", "--json").stdout)["purged"] == []


def purge_without_build(city: DeliveredCity) -> Result:
    """Purge while the first step of every build refuses."""

    def refused(*_arguments: object, **_options: object) -> None:
        raise DeliveryError("b.csv: a column that nobody spoke of")

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(calanque, "_all_steps", lambda: [("ingest", refused)])
        return purge(city)


def test_a_city_that_cannot_be_built_is_told_what_that_means(city: DeliveredCity):
    result = purge_without_build(city)
    assert result.exit_code == 1
    assert "The purge is not over" in result.stderr
    assert "b.csv" in result.stderr
    assert is_pending(city.home)


def test_an_ingestion_takes_up_what_a_purge_left(city: DeliveredCity):
    purge_without_build(city)
    result = CliRunner().invoke(calanque.app, ["ingest", "--json", "--city", str(city.folder)])
    assert json.loads(result.stdout)["steps"][0]["figures"]["incidents"] == 1
    assert is_pending(city.home)  # a build, which publishes, ends it
