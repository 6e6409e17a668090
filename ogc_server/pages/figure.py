"""The map as SVG, in metres: what is seen without JavaScript, printed, and read when WebGL is missing."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree as ET  # only written here, never parsed

import numpy as np
import shapely
from numpy.typing import NDArray

from styles.model import StyleClass
from styles.palettes import INK, LAND, mix

WIDTH_UNITS = 4000
"""Width of the drawing; a unit is a few metres, so that coordinates are short whole numbers."""
_DOT_UNITS = 34
_ZONE_LINE = mix(INK, LAND, 0.45)

Bounds = tuple[float, float, float, float]
Geometries = NDArray[np.object_]


@dataclass(frozen=True, slots=True)
class Frame:
    """What part of the plane is drawn, and how metres become units.

    Parameters
    ----------
    bounds_m
        xmin, ymin, xmax, ymax in the metric CRS.
    """

    bounds_m: Bounds

    @property
    def metres_per_unit(self) -> float:
        """Size of one unit of the drawing."""
        return (self.bounds_m[2] - self.bounds_m[0]) / WIDTH_UNITS

    @property
    def height_units(self) -> int:
        """Height of the drawing."""
        return round((self.bounds_m[3] - self.bounds_m[1]) / self.metres_per_unit)

    def units(self, xy_m: NDArray[np.float64]) -> NDArray[np.int64]:
        """Positions in the drawing, y downwards; shape ``(n, 2)``."""
        x = (xy_m[:, 0] - self.bounds_m[0]) / self.metres_per_unit
        y = (self.bounds_m[3] - xy_m[:, 1]) / self.metres_per_unit
        return np.rint(np.column_stack([x, y])).astype(np.int64)


@dataclass(frozen=True, slots=True)
class Image:
    """A picture of a raster in the metric CRS."""

    png: bytes
    bounds_m: Bounds


def frame_of(zones: Geometries, *, margin: float = 0.02) -> Frame:
    """Frame around geometries in the metric CRS, with a margin (share of the width)."""
    xmin, ymin, xmax, ymax = shapely.total_bounds(zones)
    space = margin * max(xmax - xmin, ymax - ymin)
    return Frame((float(xmin - space), float(ymin - space), float(xmax + space), float(ymax + space)))


def ring_path(frame: Frame, geometries: Iterable[shapely.Geometry]) -> str:
    """Rings of polygons as one SVG path, relative whole numbers; rings smaller than a unit vanish."""
    parts: list[str] = []
    for geometry in geometries:
        for polygon in shapely.get_parts(geometry):
            if polygon.geom_type != "Polygon":
                continue
            for ring in (polygon.exterior, *polygon.interiors):
                points = frame.units(shapely.get_coordinates(ring))
                steps = np.diff(points, axis=0)
                steps = steps[(steps != 0).any(axis=1)]
                if len(steps) < 3:
                    continue
                moves = " ".join(f"{dx},{dy}" for dx, dy in steps[:-1].tolist())
                parts.append(f"M{points[0, 0]},{points[0, 1]}l{moves}z")
    return "".join(parts)


def dot_path(frame: Frame, points: Geometries) -> str:
    """Points as one SVG path of zero-length lines, which round caps turn into dots."""
    units = np.unique(frame.units(shapely.get_coordinates(points)), axis=0)
    return "".join(f"M{x},{y}h0" for x, y in units.tolist())


def map_svg(
    frame: Frame,
    *,
    title: str,
    summary: str,
    zones: Sequence[tuple[Geometries, float]],
    classes: Sequence[tuple[StyleClass, Geometries]],
    image: Image | None = None,
    scale_label: str = "km",
) -> str:
    """Draw a map.

    Parameters
    ----------
    frame
        What is drawn.
    title, summary
        Accessible name and description.
    zones
        Levels of zones, fine to coarse, each with the width of its lines in units. Land is what they cover.
    classes
        Classes with their features (polygons or points) in the metric CRS; the first lies lowest.
    image
        A raster under the zones' lines.
    scale_label
        Unit of the scale bar.
    """
    root = ET.Element("svg", {"xmlns": "http://www.w3.org/2000/svg", "class": "map-figure", "role": "img"})
    root.attrib |= {"viewBox": f"0 0 {WIDTH_UNITS} {frame.height_units}", "aria-labelledby": "figure-title figure-desc"}
    ET.SubElement(root, "title", {"id": "figure-title"}).text = title
    ET.SubElement(root, "desc", {"id": "figure-desc"}).text = summary
    if zones:
        ET.SubElement(root, "path", {"class": "land", "fill": LAND, "d": ring_path(frame, zones[0][0])})
    if image is not None:
        _image(root, frame, image)
    for wanted, geometries in classes:
        _class(root, frame, wanted, geometries)
    for geometries, width in zones:
        path = ET.SubElement(root, "path", {"class": "zones", "fill": "none", "stroke": _ZONE_LINE})
        path.attrib |= {"stroke-width": f"{width:g}", "stroke-linejoin": "round", "d": ring_path(frame, geometries)}
    _scale_bar(root, frame, scale_label)
    return ET.tostring(root, encoding="unicode")


def _class(root: ET.Element, frame: Frame, wanted: StyleClass, geometries: Geometries) -> None:
    if not len(geometries) or wanted.opacity == 0:
        return
    kinds = shapely.get_type_id(geometries)
    areas, dots = geometries[(kinds == 3) | (kinds == 6)], geometries[kinds == 0]
    if len(areas):
        path = ET.SubElement(
            root, "path", {"class": f"class {wanted.id}", "fill": wanted.colour, "stroke": wanted.outline}
        )
        path.attrib |= {"fill-opacity": f"{wanted.opacity:g}", "stroke-width": "2", "d": ring_path(frame, areas)}
    if len(dots):
        data = dot_path(frame, dots)
        for colour, size in ((wanted.outline, _DOT_UNITS), (wanted.colour, _DOT_UNITS - 8)):
            path = ET.SubElement(root, "path", {"class": f"class {wanted.id}", "fill": "none", "stroke": colour})
            path.attrib |= {"stroke-width": str(size), "stroke-linecap": "round", "d": data}


def _image(root: ET.Element, frame: Frame, image: Image) -> None:
    corners = frame.units(np.array([[image.bounds_m[0], image.bounds_m[3]], [image.bounds_m[2], image.bounds_m[1]]]))
    (left, top), (right, bottom) = corners.tolist()
    place = {"x": str(left), "y": str(top), "width": str(right - left), "height": str(bottom - top)}
    data = "data:image/png;base64," + base64.b64encode(image.png).decode("ascii")
    ET.SubElement(root, "image", {**place, "preserveAspectRatio": "none", "image-rendering": "pixelated", "href": data})


def _scale_bar(root: ET.Element, frame: Frame, label: str) -> None:
    """Draw a bar of a round length, about a sixth of the width, and an arrow to grid north."""
    wished_m = WIDTH_UNITS * frame.metres_per_unit / 6
    power = 10 ** int(np.floor(np.log10(wished_m)))
    length_m = max(m * power for m in (1, 2, 5) if m * power <= wished_m)
    length = round(length_m / frame.metres_per_unit)
    left, base = 80, frame.height_units - 70
    group = ET.SubElement(root, "g", {"class": "scale", "stroke": INK, "fill": INK, "stroke-width": "8"})
    ET.SubElement(group, "path", {"fill": "none", "d": f"M{left},{base - 30}v30h{length}v-30"})
    text = ET.SubElement(
        group, "text", {"x": str(left + length + 40), "y": str(base), "font-size": "90", "stroke": "none"}
    )
    text.text = f"{length_m / 1000:g} {label}" if length_m >= 1000 else f"{length_m:g} m"
    x, y = WIDTH_UNITS - 140, frame.height_units - 60
    ET.SubElement(group, "path", {"stroke": "none", "d": f"M{x},{y - 200}l50,150l-50,-40l-50,40z"})
    north = ET.SubElement(group, "text", {"x": str(x), "y": str(y + 20), "font-size": "80", "stroke": "none"})
    north.attrib["text-anchor"] = "middle"
    north.text = "N"
