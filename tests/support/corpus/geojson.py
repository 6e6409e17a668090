"""GeoJSON: cut, nested, typed as it comes, and drawn as it should not be."""

from __future__ import annotations

import json
from typing import Any

from support.corpus.case import ROWS, SPOILT, WITH_SHAPES, Case, Row, good_row, good_rows
from support.malformed_files import text

ROW = good_row(SPOILT)
LAMBERT = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::2154"}}
FAR_SYSTEM = {"type": "name", "properties": {"name": "EPSG:32631"}}


def feature(row: Row) -> dict[str, Any]:
    """A good row, in degrees."""
    properties = {
        "NUM": row.name,
        "MOMENT": row.moment.isoformat(),
        "CODE": row.code,
        "GRAVITE": row.severity,
        "ADRESSE": row.address,
    }
    return {
        "type": "Feature",
        "properties": properties,
        "geometry": {"type": "Point", "coordinates": [round(v, 8) for v in row.lon_lat]},
    }


def features() -> list[dict[str, Any]]:
    """All good rows."""
    return [feature(row) for row in good_rows()]


def collection(made: list[dict[str, Any]], **members: Any) -> str:
    """GeoJSON of these features."""
    return json.dumps({"type": "FeatureCollection", **members, "features": made}, ensure_ascii=False)


def changed(geometry: Any = None, replace: bool = False, **properties: Any) -> list[dict[str, Any]]:  # noqa: FBT001, FBT002 — read as words
    """Good features, one of them with other properties or another geometry."""
    made = features()
    made[SPOILT - 1]["properties"] |= properties
    if replace:
        made[SPOILT - 1]["geometry"] = geometry
    return made


def drawn(geometry: Any) -> list[dict[str, Any]]:
    """Good features, one of them with another geometry."""
    return changed(geometry, replace=True)


def shape(kind: str, coordinates: Any) -> list[dict[str, Any]]:
    """Good features, one of them of another kind."""
    return drawn({"type": kind, "coordinates": coordinates})


def geojson(written: str | bytes, **keys: object) -> Case:
    """One GeoJSON file."""
    return Case(file="log.geojson", write=text(written), crs=None, columns=WITH_SHAPES, **keys)


def bad(field: str, reason: str) -> dict[str, object]:
    """One fault of the spoilt row."""
    return {"faults": ((SPOILT, field, reason),)}


def told(**values: object) -> dict[str, object]:
    """What the spoilt row tells instead."""
    return {"changed": {ROW.name: values}}


NOWHERE = told(located_by=None, x_m=None, y_m=None)
WHOLE = collection(features())
LON, LAT = ROW.lon_lat
OUTSIDE: dict[str, object] = {"faults": tuple((row.number, "coordinates", "outside_crs_area") for row in good_rows())}
"""A whole file in another system than is said."""


def in_metres() -> list[dict[str, Any]]:
    """Good features in Lambert-93."""
    made = features()
    for row, one in zip(good_rows(), made, strict=True):
        one["geometry"]["coordinates"] = [row.x, row.y]
    return made


def spelled(old: str, new: str) -> str:
    """Whole file in which the spoilt row is spelled otherwise."""
    assert old in WHOLE
    return WHOLE.replace(old, new)


GEOJSON: dict[str, Case] = {
    "a good GeoJSON": geojson(WHOLE),
    "a GeoJSON with a mark of UTF-8": geojson(b"\xef\xbb\xbf" + WHOLE.encode()),
    "a GeoJSON that is empty": geojson(b"", refused="no GeoJSON"),
    "a GeoJSON cut in the middle": geojson(WHOLE[: len(WHOLE) // 2], refused="cannot read it"),
    "a GeoJSON cut after a feature": geojson(WHOLE[: WHOLE.rindex(', {"type": "Feature"')], refused="cannot read it"),
    "a GeoJSON without its last mark": geojson(WHOLE[:-1], refused="cannot read it"),
    "a GeoJSON in UTF-16": geojson(WHOLE.encode("utf-16"), refused=r"log\.geojson"),
    "a GeoJSON in cp1252": geojson(WHOLE.encode("cp1252"), refused="UTF-8"),
    "a page instead of a GeoJSON": geojson("<html>404</html>", refused="no GeoJSON"),
    "a GeoJSON in a GeoJSON": geojson(
        collection([*features(), json.loads(WHOLE)]), refused=r"log\.geojson|FeatureCollection"
    ),
    "a GeoJSON nested too deep": geojson(collection([]).replace("[]", "[" * 100_000), refused=r"log\.geojson"),
    "a GeoJSON with a comma too many": geojson(WHOLE[:-2] + ",]}", refused=r"log\.geojson"),
    "a GeoJSON without features": geojson(collection([]), refused="NUM"),
    "a GeoJSON whose features are null": geojson(
        '{"type": "FeatureCollection", "features": null}', refused="log.geojson"
    ),
    "a word where a number should be": geojson(
        spelled(f"{feature(ROW)['geometry']['coordinates'][0]}", "NaN"), refused="row 5, geometry"
    ),
    "a feature without properties": geojson(
        collection([one | {"properties": None} if n == SPOILT - 1 else one for n, one in enumerate(features())]),
        faults=(
            (SPOILT, "category", "missing_category"),
            (SPOILT, "record_id", "missing_record_id"),
            (SPOILT, "started_at", "missing_date"),
        ),
    ),
    "a property that one feature lacks": geojson(spelled(f', "ADRESSE": "{ROW.address}"', ""), **told(address=None)),
    "a property twice": geojson(spelled('"NUM": "MC5"', '"NUM": "MC99", "NUM": "MC5"')),
    "a property that is nested": geojson(
        collection(changed(ADRESSE={"rue": "5 rue", "ville": ["x"]})),
        **told(address='{ "rue": "5 rue", "ville": [ "x" ] }'),
    ),
    "a number as text": geojson(collection(changed(GRAVITE=str(ROW.severity)))),
    "a word as a number": geojson(collection(changed(GRAVITE="grave")), **bad("severity", "invalid_number")),
    "31 February in a GeoJSON": geojson(
        collection(changed(MOMENT="2024-02-31T10:20:00")), **bad("started_at", "invalid_date")
    ),
    "year 0000 in a GeoJSON": geojson(
        collection(changed(MOMENT="0000-05-15T10:20:00")), **bad("started_at", "invalid_date")
    ),
    "half a letter": geojson(spelled(f'"{ROW.address}"', '"5 rue \\ud83d"'), **told(address="5 rue \ufffd")),
    "a NUL in a GeoJSON": geojson(spelled(f'"{ROW.address}"', '"5 rue\\u0000x"'), refused="row 5: a text holds a NUL"),
    "a feature without geometry": geojson(collection(drawn(None)), **NOWHERE),
    "a feature that lacks a geometry": geojson(
        collection(
            [{k: v for k, v in one.items() if n != SPOILT - 1 or k != "geometry"} for n, one in enumerate(features())]
        ),
        **NOWHERE,
    ),
    "an empty geometry": geojson(collection(shape("Point", [])), **NOWHERE),
    "a point in space": geojson(collection(shape("Point", [LON, LAT, 12.5]))),
    "a list of one point": geojson(collection(shape("MultiPoint", [[LON, LAT]]))),
    "a list of two points": geojson(
        collection(shape("MultiPoint", [[LON, LAT], [LON, LAT + 1]])), **bad("geometry", "not_a_point")
    ),
    "a line among points": geojson(
        collection(shape("LineString", [[LON, LAT], [LON, LAT + 1]])), **bad("geometry", "not_a_point")
    ),
    "a collection among points": geojson(
        collection(drawn({"type": "GeometryCollection", "geometries": []})), **NOWHERE
    ),
    "a geometry that nobody knows": geojson(collection(shape("Circle", [LON, LAT])), refused="row 5, geometry"),
    "half a point": geojson(collection(shape("Point", [LON])), refused="row 5, geometry"),
    "a point of words": geojson(collection(shape("Point", ["5.37", "43.29"])), refused="row 5, geometry"),
    "a point beyond all numbers": geojson(
        spelled(f"{feature(ROW)['geometry']['coordinates'][0]}", "1e400"), refused=r"log\.geojson"
    ),
    "swapped axes in a GeoJSON": geojson(collection(shape("Point", [LAT, LON])), **bad("coordinates", "swapped_axes")),
    "a point at zero": geojson(collection(shape("Point", [0, 0])), **bad("coordinates", "zero_coordinates")),
    "metres where degrees are said": geojson(collection(in_metres()), **OUTSIDE),
    "degrees where metres are said": geojson(collection(features(), crs=LAMBERT), **OUTSIDE),
    "metres in a named system": geojson(collection(in_metres(), crs=LAMBERT)),
    "a system that is not": geojson(
        collection(features(), crs={"type": "name", "properties": {"name": "EPSG:999999"}}),
        refused="EPSG:999999.*not known",
    ),
    "a feature in a system of its own": geojson(
        collection([one | {"crs": FAR_SYSTEM} if n == 3 else one for n, one in enumerate(in_metres())], crs=LAMBERT),
        refused="several reference systems",
    ),
    "one feature alone": geojson(json.dumps(feature(good_row(1))), rows=1, good=1),
}

_SAID: dict[str, Any] = {"file": "log.geojson", "columns": WITH_SHAPES}
GEOJSON["a system that the city file contradicts"] = Case(
    write=text(collection(features())), crs="EPSG:2154", **_SAID, **OUTSIDE
)
GEOJSON["metres without a system, which the city file gives"] = Case(
    write=text(collection(in_metres())), crs="EPSG:2154", **_SAID
)

assert len(GEOJSON) > ROWS
