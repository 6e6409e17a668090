from __future__ import annotations

import csv
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from layers.city import load_city
from layers.errors import CityFileError, HomeError
from layers.home import Home, claim_home
from layers.toml_lines import key_lines, line_of
from support.delivered_city import CITY_TOML

TAXONOMY_TOML = CITY_TOML[CITY_TOML.index("[taxonomy.themes.noise]") : CITY_TOML.index("[analysis]")]
CODES_TOML = """[sources.categories]
"N1" = "night_noise"
"F1" = "dispute"
"""
IN_FILES = CITY_TOML.replace(TAXONOMY_TOML, '[taxonomy]\npath = "taxonomie.csv"\n\n').replace(
    'drop = ["AGENT"]', 'drop = ["AGENT"]\ncategories_path = "codes.csv"'
)[: -len(CODES_TOML) - 1]
TAXONOMY_CSV = """theme,theme_fr,theme_en,category,category_fr,category_en,sensitive,theme_sensitive
noise,Bruit,Noise,night_noise,Tapage,Night noise,,
family,Famille,Family,dispute,Différend,Dispute,non,oui
"""
CODES_CSV = "code,category\nN1,night_noise\nF1,dispute\n"


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


@pytest.fixture
def write_csv(write, tmp_path: Path):
    """The city of CITY_TOML with its taxonomy and its codes in two CSV files, to be changed by a test."""

    def written(
        taxonomy: str | bytes = TAXONOMY_CSV,
        codes: str | bytes = CODES_CSV,
        text: str = IN_FILES,
        encoding: str = "utf-8",
    ) -> Path:
        for name, content in (("taxonomie.csv", taxonomy), ("codes.csv", codes)):
            data = content.encode(encoding) if isinstance(content, str) else content
            (tmp_path / name).write_bytes(data)
        return write(text)

    return written


@pytest.mark.parametrize("delimiter", [",", ";"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_taxonomy_in_csv_is_the_city_that_toml_gives(write, write_csv, delimiter: str, encoding: str, newline: str):
    written_out = load_city(write(CITY_TOML))
    csvs = [text.replace(",", delimiter).replace("\n", newline) for text in (TAXONOMY_CSV, CODES_CSV)]
    from_files = load_city(write_csv(*csvs, encoding=encoding))
    assert from_files == written_out
    assert from_files.digest == written_out.digest
    assert from_files.taxonomy.sensitive_categories() == {"dispute"}


def test_csv_cells_may_be_quoted_and_lines_blank(write_csv):
    taxonomy = TAXONOMY_CSV.replace("Tapage,", '"Tapage, ""de nuit""\nou du soir",').replace(
        "noise,Bruit", "\n,,,,,,,\nnoise,Bruit"
    )
    city = load_city(write_csv(taxonomy))
    assert city.taxonomy.themes["noise"].categories["night_noise"].title.fr == 'Tapage, "de nuit"\nou du soir'
    # The line of a fault is counted over line breaks inside quotes and blank lines.
    with pytest.raises(CityFileError, match=r"taxonomie.csv:6: column 'theme': .* \(given: 'Famille!'\)"):
        load_city(write_csv(taxonomy.replace("family,", "Famille!,")))


def test_titles_of_a_theme_are_said_once(write_csv):
    more = TAXONOMY_CSV + "noise,,,day_noise,Bruit de jour,Day noise,oui,\n"
    noise = load_city(write_csv(more)).taxonomy.themes["noise"]
    assert list(noise.categories) == ["night_noise", "day_noise"]
    assert (noise.title.fr, noise.sensitive, noise.categories["day_noise"].sensitive) == ("Bruit", False, True)


TWICE = "noise,Bruit,Noise,night_noise,Tapage,Night noise,,\n"


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("noise,Bruit", "Noise,Bruit", "taxonomie.csv:2: column 'theme': small letters"),
        ("noise,Bruit", "all,Bruit", "taxonomie.csv:2: column 'theme': 'all' is reserved"),
        ("night_noise,", "night-noise,", "taxonomie.csv:2: column 'category': small letters"),
        (",Tapage,", ",,", "taxonomie.csv:2: column 'category_fr': a value is expected"),
        ("Family,", ",", "taxonomie.csv:3: column 'theme_en': a value is expected"),
        (",non,oui", ",peut-être,oui", "taxonomie.csv:3: column 'sensitive': oui or non (yes or no) is expected"),
        (",non,oui", ",non,secret", "taxonomie.csv:3: column 'theme_sensitive': oui or non (yes or no) is expected"),
        (",non,oui", ",non", "taxonomie.csv:3: 7 values given, 8 expected"),
        (
            "family,",
            TWICE + "family,",
            "taxonomie.csv:3: column 'category': 'night_noise' is given again, as on line 2",
        ),
        (
            "family,",
            "noise,Vacarme,Noise,din,Vacarme,Din,,\nfamily,",
            "taxonomie.csv:3: column 'theme_fr': 'Bruit' is expected, as on line 2 (given: 'Vacarme'",
        ),
        ("theme_fr,", "theme_français,", "taxonomie.csv:1: column 'theme_fr' is missing"),
        ("theme_fr,", "theme_français,", "taxonomie.csv:1: column 'theme_français' is not expected"),
        (",sensitive,", ",theme,", "taxonomie.csv:1: several columns are called 'theme'"),
        (TAXONOMY_CSV, "", "taxonomie.csv:1: empty"),
        (TAXONOMY_CSV, TAXONOMY_CSV.splitlines()[0], "taxonomie.csv:1: no category"),
        (",Tapage,", ',"Tapage,', "not a CSV file"),
    ],
)
def test_a_fault_of_the_taxonomy_file_names_line_and_column(write_csv, before: str, after: str, expected: str):
    assert before in TAXONOMY_CSV
    with pytest.raises(CityFileError) as caught:
        load_city(write_csv(TAXONOMY_CSV.replace(before, after, 1)))
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        (
            "code,category\nN1,nightnoise\n",
            "codes.csv:2: column 'category': a category of the taxonomy is expected for code",
        ),
        (
            "code,category\nN1,night_noise\nN1,dispute\n",
            "codes.csv:3: column 'code': 'N1' is given again, as on line 2",
        ),
        ("code,category\n,dispute\n", "codes.csv:2: column 'code': a value is expected"),
        (
            "code,categorie\nN1,dispute\n",
            "codes.csv:1: column 'category' is missing (columns given: 'code', 'categorie')",
        ),
        ("code,category\n", "codes.csv:1: no code"),
        ("code,category\nN1,dispute\nÉ,dispute".encode("cp1252"), "codes.csv:3: not UTF-8 (byte 0xc9)"),
    ],
)
def test_a_fault_of_a_file_of_codes_names_line_and_column(write_csv, codes: str | bytes, expected: str):
    with pytest.raises(CityFileError) as caught:
        load_city(write_csv(codes=codes))
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ('path = "taxonomie.csv"', 'path = "nowhere.csv"', "taxonomy.path: no such file"),
        (
            'path = "taxonomie.csv"',
            "path = 3 # no text",
            "taxonomy.path: the path of a CSV file is expected (given: 3)",
        ),
        ('path = "taxonomie.csv"', f'path = "taxonomie.csv"\n{TAXONOMY_TOML}', "give path or themes, not both"),
        ('categories_path = "codes.csv"', 'categories_path = "."', "sources[0].categories_path: no such file"),
        (
            'categories_path = "codes.csv"',
            'categories_path = "codes.csv"\ncategories = { N1 = "night_noise" }',
            "give categories_path or categories, not both",
        ),
    ],
)
def test_a_wrong_path_is_a_fault_of_the_city_file(write_csv, before: str, after: str, expected: str):
    text = IN_FILES.replace(before, after, 1)
    path = write_csv(text=text)
    with pytest.raises(CityFileError) as caught:
        load_city(path)
    assert str(caught.value).startswith(f"{path}:{line_with(text, after.splitlines()[0])}: ")
    assert expected in str(caught.value)


TITLE = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=12).map(str.strip).filter(bool)


@given(titles=st.lists(TITLE, min_size=4, max_size=4), delimiter=st.sampled_from(",;"), flag=st.booleans())
@settings(max_examples=60)
def test_any_title_comes_back_from_a_csv_file(tmp_path_factory, titles: list[str], delimiter: str, *, flag: bool):
    folder = tmp_path_factory.mktemp("titles")
    (folder / "city.toml").write_text(IN_FILES, encoding="utf-8")
    (folder / "codes.csv").write_text(CODES_CSV, encoding="utf-8")
    columns = ["theme", "theme_fr", "theme_en", "category", "category_fr", "category_en", "theme_sensitive"]
    with (folder / "taxonomie.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerow(columns)
        writer.writerow(["noise", *titles[:2], "night_noise", *titles[2:], "oui" if flag else ""])
        writer.writerow(["noise", *titles[:2], "dispute", *titles[2:], "oui" if flag else ""])
    theme = load_city(folder).taxonomy.themes["noise"]
    night_noise = theme.categories["night_noise"]
    assert [theme.title.fr, theme.title.en, night_noise.title.fr, night_noise.title.en] == titles
    assert theme.sensitive == flag


def test_faults_of_all_files_come_at_once(write_csv):
    with pytest.raises(CityFileError) as caught:
        load_city(write_csv("theme\nx\n", "code,category\n,x\n"))
    assert [line.split(":")[0].rsplit("/")[-1] for line in str(caught.value).splitlines()] == [
        *["taxonomie.csv"] * 5,
        "codes.csv",
    ]


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
