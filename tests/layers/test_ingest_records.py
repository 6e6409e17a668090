"""What a delivered row becomes: a whole record, or a refused row with its reason."""

from __future__ import annotations

import pytest
import shapely

from layers.catalogue import read_catalogue
from layers.digests import digest_file
from layers.errors import DeliveryError
from layers.lake import layer_table, reject_table
from support.delivered_city import CITY_TOML, HEADER, ORIGIN_X_M, ORIGIN_Y_M, DeliveredCity, row
from support.ingested import LAW, figures_of, records, rejects, rows_of, take, with_columns


def test_a_record_is_whole(small_city: DeliveredCity):
    report = take(small_city)
    record = records(small_city)["MC2"]
    assert record["source"] == "log"
    assert record["organisation"] == "Police municipale"
    assert (record["theme"], record["category"], record["source_code"]) == ("family", "dispute", "F1")
    assert str(record["started_at"]) == "2024-05-15 21:05:00+00:00"
    assert (str(record["date"]), record["hour"]) == ("2024-05-15", 23)
    assert (record["provenance"], record["severity"]) == ("reported", 1)
    assert (record["located"], record["located_by"], record["on_land"]) == (True, "coordinates", True)
    assert (record["zone_blocks"], record["zone_districts"]) == ("A1", "A")
    assert record["x_m"] == pytest.approx(ORIGIN_X_M + 500, abs=1e-3)
    assert record["y_m"] == pytest.approx(ORIGIN_Y_M + 1500, abs=1e-3)
    point = shapely.from_wkb(record["geometry"])
    assert (point.x, point.y) == (record["lon"], record["lat"])
    assert record["merged_ids"] is None
    assert not report.skipped
    figures = dict(report.figures)
    assert (figures["log.rows"], figures["log.accepted"], figures["log.rejected"]) == (2, 2, 0)
    assert (figures["incidents"], figures["non_localised"], figures["off_land"], figures["unmapped"]) == (2, 0, 0, 0)


def test_the_layer_is_geoparquet_that_others_read(small_city: DeliveredCity):
    import geopandas

    take(small_city)
    file = layer_table(small_city.home, "incidents").latest().files[0]
    frame = geopandas.read_parquet(file.path)
    assert frame.crs == "OGC:CRS84"
    assert frame.geometry.x.tolist() == frame["lon"].tolist()
    assert file.partition == "month=2024-05"


@pytest.mark.parametrize(
    ("bad", "field", "value", "reason"),
    [
        (row(3, date="", hour=""), "started_at", None, "missing_date"),
        (row(3, date="31/02/2024"), "started_at", "31/02/2024 10:20", "invalid_date"),
        (row(3, date="01/01/1204"), "started_at", "01/01/1204 10:20", "impossible_date"),
        (row(3, date="01/01/1804"), "started_at", "01/01/1804 10:20", "impossible_date"),
        (row(3, code=""), "category", None, "missing_category"),
        (row(3, severity="99"), "severity", "99.0", "out_of_range"),
        (row(3, severity="high"), "severity", "high", "invalid_number"),
        (row(3, severity="1,5"), "severity", "1,5", "invalid_number"),
        (row(3, x="here"), "x", "here", "invalid_coordinates"),
        (row(3, x="nan"), "x", "nan", "invalid_coordinates"),
        (row(3, x="0", y="0"), "coordinates", "0 0", "zero_coordinates"),
        (row(3, x="6246000", y="893000"), "coordinates", "6246000 893000", "swapped_axes"),
        (row(3, x="1", y="2"), "coordinates", "1 2", "outside_crs_area"),
        (row(1), "record_id", "MC1", "duplicate_record_id"),
        (row(3).removeprefix("MC3"), "record_id", None, "missing_record_id"),
        ("MC3;15/05/2024", "", None, "malformed_row"),
        (row(3) + ";more", "", None, "malformed_row"),
    ],
)
def test_bad_rows_are_refused_with_their_reason_and_good_ones_kept(
    small_city: DeliveredCity, bad: str, field: str, value: str | None, reason: str
):
    small_city.deliver([row(1), bad, row(2)])
    figures = figures_of(small_city)
    assert rejects(small_city) == [(2, field, value, reason)]
    assert set(records(small_city)) == {"MC1", "MC2"}
    assert (figures["log.rows"], figures["log.accepted"], figures["log.rejected"]) == (3, 2, 1)


def test_a_row_with_several_faults_is_one_rejected_row(small_city: DeliveredCity):
    small_city.deliver([row(1, code="", severity="99", date="31/02/2024"), row(2)])
    figures = figures_of(small_city)
    assert [r[1] for r in rejects(small_city)] == ["category", "severity", "started_at"]
    assert (figures["log.accepted"], figures["log.rejected"]) == (1, 1)


def test_of_two_rows_with_one_id_a_bad_one_does_not_hide_the_good_one(small_city: DeliveredCity):
    small_city.deliver([row(1, date="31/02/2024"), row(1), row(1, hour="11:11")])
    take(small_city)
    assert [(r[0], r[3]) for r in rejects(small_city)] == [(1, "invalid_date"), (3, "duplicate_record_id")]
    assert records(small_city)["MC1"]["hour"] == 10


def test_unknown_codes_are_kept_and_counted(small_city: DeliveredCity):
    small_city.deliver([row(1, code="Z9"), row(2, code="Z9"), row(3), row(4, code="Y8", severity="99")])
    figures = figures_of(small_city)
    record = records(small_city)["MC1"]
    assert (record["theme"], record["category"], record["source_code"]) == ("unmapped", "unmapped", "Z9")
    assert (figures["unmapped"], figures["log.unmapped"]) == (2, 2)  # that of the refused row is not kept
    assert read_catalogue(small_city.home)[0].unmapped_codes == {"Z9": 2}


def test_a_code_that_a_map_of_the_category_does_not_know_is_counted_once_and_kept(small_city: DeliveredCity):
    toml = CITY_TOML.split("[sources.categories]", maxsplit=1)[0]
    mapped = 'category = { column = "CODE", map = { N1 = "night_noise" } }'
    small_city.write_toml(toml.replace('category = "CODE"', mapped))
    small_city.deliver([row(1), row(2, code="Z9")])
    assert figures_of(small_city)["log.unmapped"] == 1
    found = {name: (r["source_code"], r["category"]) for name, r in records(small_city).items()}
    assert found == {"MC1": ("night_noise", "night_noise"), "MC2": ("Z9", "unmapped")}


def test_a_scale_turns_the_sources_unit_into_the_fields(small_city: DeliveredCity):
    small_city.write_toml(with_columns('precision_m = { column = "RAYON_KM", scale = 1000 }'))
    small_city.deliver([f"{row(1)};0,05", f"{row(2)};", f"{row(3)};200"], header=f"{HEADER};RAYON_KM")
    take(small_city)
    assert {n: r["precision_m"] for n, r in records(small_city).items()} == {"MC1": 50.0, "MC2": None}
    assert rejects(small_city) == [(3, "precision_m", "200000.0", "out_of_range")]


def test_coordinates_are_scaled_too(small_city: DeliveredCity):
    toml = CITY_TOML.replace('x = "X"', 'x = { column = "X", scale = 1000 }')
    small_city.write_toml(toml.replace('y = "Y"', 'y = { column = "Y", scale = 1000 }'))
    small_city.deliver([row(1, x="893,5", y="6246,5")])
    take(small_city)
    record = records(small_city)["MC1"]
    assert (record["x_m"], record["y_m"]) == pytest.approx((893_500, 6_246_500), abs=1e-3)


@pytest.mark.parametrize(("rows", "accepted"), [([], 0), ([row(1, code="")], 0), (["short"], 0), ([row(1), row(2)], 2)])
@pytest.mark.parametrize("named", [True, False])
def test_a_delivery_without_a_good_row_leaves_an_empty_layer(
    small_city: DeliveredCity, rows: list[str], accepted: int, *, named: bool
):
    anonymous = CITY_TOML.replace('record_id = "NUM"\n', "").replace('["AGENT"]', '["AGENT", "NUM"]')
    small_city.write_toml((CITY_TOML if named else anonymous).replace("drop =", "merge_equal_rows = true\ndrop ="))
    small_city.deliver(rows)
    figures = figures_of(small_city)
    assert figures["log.rows"] == len(rows) == sum(figures[f"log.{name}"] for name in LAW)
    assert figures["log.accepted"] == accepted
    assert layer_table(small_city.home, "incidents").exists()


def test_records_from_before_the_epoch_have_months_of_their_own(small_city: DeliveredCity):
    dates = ("15/01/1900", "15/05/1960", "31/12/1969", "01/01/1970", "15/05/2024")
    small_city.deliver([row(n, date=date) for n, date in enumerate(dates)])
    take(small_city)
    months = [f.partition for f in layer_table(small_city.home, "incidents").latest().files]
    assert months == [f"month={d[6:]}-{d[3:5]}" for d in dates]
    assert len(records(small_city)) == 5


def test_equal_rows_without_an_id_are_so_many_records(small_city: DeliveredCity):
    """Two equal rows can be two offences: they are counted, not merged, until the city file says otherwise."""
    small_city.write_toml(CITY_TOML.replace('record_id = "NUM"\n', "").replace('["AGENT"]', '["AGENT", "NUM"]'))
    small_city.deliver([row(1), row(2), row(3, severity="2")])
    figures = figures_of(small_city)
    assert (figures["log.records"], figures["log.equal_rows"], figures["log.merged"]) == (3, 1, 0)
    ids = [r["id"] for r in rows_of(small_city, "incidents")]
    assert len(set(ids)) == 3
    small_city.deliver([row(8, severity="2"), row(9), row(10)])
    assert figures_of(small_city)["log.unchanged"] == 3
    assert [r["id"] for r in rows_of(small_city, "incidents")] == ids


def test_a_quotation_mark_that_is_never_closed_refuses_the_delivery(small_city: DeliveredCity):
    """Nothing may be lost silently: the rows after the mark would be one value of its row, even of a dropped column."""
    rows = [row(n) for n in range(1, 31)]
    rows[9] = rows[9].replace("DUPONT Jean", '"DUPONT Jean')
    small_city.deliver(rows)
    with pytest.raises(DeliveryError, match=r"row 10, column 'AGENT'.*never closed"):
        take(small_city)


def test_honest_line_breaks_inside_quotes_are_kept(small_city: DeliveredCity):
    small_city.deliver([row(1).replace("DUPONT Jean", '"DUPONT\nJean; ""dit"" Petit"'), row(2)])
    assert figures_of(small_city)["log.accepted"] == 2


def test_blank_lines_before_the_header_are_no_rows(small_city: DeliveredCity):
    small_city.deliver([row(1)], header=f"\n\n{HEADER}")
    figures = figures_of(small_city)
    assert (figures["log.rows"], figures["log.rejected"]) == (1, 0)


def test_a_column_that_is_not_there_is_named(small_city: DeliveredCity):
    small_city.deliver(["1;2"], header="NUM;DATE")
    with pytest.raises(DeliveryError, match="reads the column 'CODE', 'GRAVITE'"):
        take(small_city)


def test_coordinates_without_a_reference_system_are_refused(small_city: DeliveredCity):
    small_city.write_toml(CITY_TOML.replace('crs = "EPSG:2154"\ndrop', "drop"))
    with pytest.raises(DeliveryError, match=r"log\.csv: its coordinates have no reference system"):
        take(small_city)


def test_rejects_name_the_file_and_its_delivery(small_city: DeliveredCity):
    path = small_city.deliver([row(1, severity="99")])
    take(small_city)
    found = reject_table(small_city.home, "log").read().to_pylist()
    assert [(r["file"], r["delivery"]) for r in found] == [("log.csv", digest_file(path))]
