from __future__ import annotations

from pathlib import Path

import pytest

from layers.city import load_city
from layers.errors import CityFileError, HomeError
from layers.home import Home, claim_home
from layers.toml_lines import key_lines, line_of
from support.delivered_city import CITY_TOML


def line_with(text: str, fragment: str) -> int:
    return next(n for n, line in enumerate(text.splitlines(), start=1) if fragment in line)


@pytest.fixture
def write(tmp_path: Path):
    def written(text: str) -> Path:
        path = tmp_path / "city.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return written


def test_a_folder_and_its_file_are_the_same_city(write):
    path = write(CITY_TOML)
    assert load_city(path) == load_city(path.parent)
    assert load_city(path).folder == path.parent.resolve()


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ('metric_crs = "EPSG:2154"', 'metric_crs = "EPSG:4326"', "not a projected CRS in metres"),
        ('metric_crs = "EPSG:2154"', 'metric_crs = "EPSG:nowhere"', "not a coordinate reference system"),
        ('timezone = "Europe/Paris"', 'timezone = "Mars/Olympus"', "'Mars/Olympus' is not an IANA time zone"),
        ('id = "carre"', 'id = "Le Carré"', "given: 'Le Carré'"),
        ('mode = "complete"', 'mode = "partial"', "'complete' or 'increment'"),
        ('mode = "complete"', 'modus = "complete"', "Extra inputs are not permitted"),
        ('"N1" = "night_noise"', '"N1" = "nightnoise"', "nightnoise"),
        ("end = 2024-12-31", "end = 2023-12-31", "end 2023-12-31 is before start 2024-01-01"),
        ('zones = "blocks"', 'zones = "blobs"', "'blobs' is no zone level"),
        ('severity = "GRAVITE"', 'seriousness = "GRAVITE"', "no field seriousness"),
        ('drop = ["AGENT"]', 'drop = ["AGENT", "CODE"]', "CODE"),
    ],
)
def test_errors_name_path_line_and_what_was_expected(write, before: str, after: str, expected: str):
    assert before in CITY_TOML
    text = CITY_TOML.replace(before, after, 1)
    path = write(text)
    with pytest.raises(CityFileError) as caught:
        load_city(path)
    message = str(caught.value)
    assert expected in message
    assert message.startswith(f"{path}:")
    # Errors of a key are on its line; errors of a whole table are on the table's header.
    named = int(message.removeprefix(f"{path}:").split(":")[0])
    assert named <= line_with(text, after)


def test_the_line_is_exact_for_a_value(write):
    text = CITY_TOML.replace('timezone = "Europe/Paris"', 'timezone = "Europe/Pari"')
    path = write(text)
    with pytest.raises(CityFileError, match=rf"city.toml:{line_with(text, 'Europe/Pari')}: city.timezone"):
        load_city(path)


def test_several_errors_come_at_once_in_file_order(write):
    text = CITY_TOML.replace("carre", "C!").replace("start = 2024-01-01", 'start = "soon"')
    with pytest.raises(CityFileError) as caught:
        load_city(write(text))
    lines = str(caught.value).splitlines()
    assert len(lines) == 2
    assert [("city.id" in lines[0]), ("analysis.start" in lines[1])] == [True, True]


def test_syntax_errors_name_their_line(write):
    text = CITY_TOML + "\nbroken = \n"
    with pytest.raises(CityFileError, match=rf"city.toml:{line_with(text, 'broken')}: not valid TOML"):
        load_city(write(text))


def test_missing_and_unreadable_files(tmp_path: Path):
    with pytest.raises(CityFileError, match="no such city file"):
        load_city(tmp_path / "nowhere")
    (tmp_path / "city.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(CityFileError, match="UTF-8"):
        load_city(tmp_path)


def test_digest_is_that_of_the_meaning(write):
    plain = load_city(write(CITY_TOML)).digest
    assert load_city(write("# a comment\n" + CITY_TOML.replace(" = ", "  =  "))).digest == plain
    assert load_city(write(CITY_TOML.replace("2024-12-31", "2024-12-30"))).digest != plain
    # The order of themes is that of columns.
    start = CITY_TOML.index("[taxonomy.themes.noise]")
    middle = CITY_TOML.index("[taxonomy.themes.family]")
    end = CITY_TOML.index("[analysis]")
    swapped = CITY_TOML[:start] + CITY_TOML[middle:end] + CITY_TOML[start:middle] + CITY_TOML[end:]
    assert load_city(write(swapped)).digest != plain


def test_derived_geography_needs_its_source(write):
    hull = CITY_TOML.replace('zones = "blocks"', 'hull = { source = "nobody", buffer_m = 10.0 }')
    with pytest.raises(CityFileError, match="'nobody' is no source"):
        load_city(write(hull))
    both = CITY_TOML.replace('zones = "blocks"', 'zones = "blocks"\nhull = { source = "log", buffer_m = 10.0 }')
    with pytest.raises(CityFileError, match="exactly one of zones"):
        load_city(write(both))


def test_a_home_holds_one_city(write, tmp_path: Path):
    city, home = load_city(write(CITY_TOML)), Home(tmp_path / "home")
    city.check_home(home)
    assert not home.root.exists()
    claim_home(home, "elsewhere")
    with pytest.raises(HomeError, match="'elsewhere', not 'carre'"):
        city.check_home(home)


def test_lines_of_keys_in_all_their_spellings():
    text = """a = 1
[b."c.d"]
e.f = { g = 1,
  h = [1,
  2] }
text = '''
[not.a.table]
k = 1
'''
[[list]]
x = 1 # ] not a bracket
[[list]]
x = "[]"
[list.sub]
y = 2
[[list.sub.deep]]
z = 3
"""
    lines = key_lines(text)
    assert lines["a",] == 1
    assert lines["b", "c.d", "e", "f"] == 3
    assert lines["b", "c.d", "text"] == 6
    assert lines["list", 0, "x"] == 11
    assert lines["list", 1, "x"] == 13
    assert lines["list", 1, "sub", "y"] == 15
    assert lines["list", 1, "sub", "deep", 0, "z"] == 17
    assert not any("not" in path for path in lines)
    assert line_of(("list", 1, "sub", "y", "more", 3), lines) == 15
    assert line_of(("nowhere",), lines) == 1
