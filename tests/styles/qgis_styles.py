"""Run by QGIS' own Python: load styles as a user does, and tell as JSON what QGIS makes of them.

Argument: a JSON file with ``features`` (QML, GeoJSON, attribute, values), ``rasters`` (QML, GeoTIFF, values) and
``maplibre`` (style documents).
"""

import json
import sys
from pathlib import Path

from qgis.core import (
    QgsApplication,
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsExpression,
    QgsExpressionContext,
    QgsExpressionContextUtils,
    QgsFeature,
    QgsField,
    QgsFields,
    QgsGeometry,
    QgsMapBoxGlStyleConversionContext,
    QgsMapBoxGlStyleConverter,
    QgsPointXY,
    QgsProject,
    QgsRasterLayer,
    QgsRenderContext,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QVariant


def load(layer, qml):
    message, ok = layer.loadNamedStyle(qml)
    return {"valid": layer.isValid(), "ok": bool(ok), "message": message}


def feature_style(job):
    layer = QgsVectorLayer(job["data"], "test", "ogr")
    told = load(layer, job["qml"])
    renderer = layer.renderer()
    told["renderer"] = renderer.type()
    told["legend"] = [item.label() for item in renderer.legendSymbolItems()]
    context = QgsRenderContext()
    renderer.startRender(context, layer.fields())
    told["colours"] = []
    for feature in layer.getFeatures():
        symbol = renderer.originalSymbolForFeature(feature, context)
        told["colours"].append(symbol.color().name() if symbol else None)
    told["symbol_layers"] = [[x.layerType() for x in s.symbolLayers()] for s in renderer.symbols(context)]
    renderer.stopRender(context)
    told["aliases"] = {f.name(): f.alias() for f in layer.fields()}
    told["temporal"] = [layer.temporalProperties().startField(), layer.temporalProperties().endField()]
    return told


def raster_style(job):
    layer = QgsRasterLayer(job["data"], "test")
    told = load(layer, job["qml"])
    shader = layer.renderer().shader().rasterShaderFunction()
    told["band"] = layer.renderer().band()
    told["colours"] = []
    for value in job["values"]:
        ok, red, green, blue, alpha = shader.shade(value)
        told["colours"].append([red, green, blue, alpha] if ok else None)
    return told


def tile_style(job):
    converter = QgsMapBoxGlStyleConverter()
    context = QgsMapBoxGlStyleConversionContext()
    told = {"result": int(converter.convert(job["document"], context)), "warnings": list(converter.warnings())}
    styles = converter.renderer().styles()
    fields = QgsFields()
    fields.append(QgsField(job["attribute"], QVariant.String if job["text"] else QVariant.Double))
    told["colours"] = {}
    for collection in job["collections"]:
        found = []
        for value in job["values"]:
            feature = QgsFeature(fields)
            feature.setAttributes([QVariant() if value is None else value])
            expressions = QgsExpressionContext()
            expressions.setFeature(feature)
            hits = [
                s.symbol().color().name()
                for s in styles
                if s.layerName() == collection
                and (not s.filterExpression() or QgsExpression(s.filterExpression()).evaluate(expressions))
            ]
            found.append(hits)
        told["colours"][collection] = found
    return told


def sector_area(job):
    """Area in square metres of what a point at job["lon_lat"] looks at, by the expression of the style."""
    columns = "&".join(f"field={name}:double" for name in ("direction_deg", "field_of_view_deg", "range_m"))
    layer = QgsVectorLayer(f"Point?crs=EPSG:4326&{columns}", "cameras", "memory")
    feature = QgsFeature(layer.fields())
    feature.setAttributes([QVariant() if v is None else v for v in job["attributes"]])
    feature.setGeometry(QgsGeometry.fromPointXY(QgsPointXY(*job["lon_lat"])))
    context = QgsExpressionContext(QgsExpressionContextUtils.globalProjectLayerScopes(layer))
    context.setFeature(feature)
    expression = QgsExpression(job["expression"])
    polygon = expression.evaluate(context)
    assert not expression.hasEvalError(), expression.evalErrorString()
    if not isinstance(polygon, QgsGeometry) or polygon.isNull():
        return None
    metric = QgsCoordinateTransform(layer.crs(), QgsCoordinateReferenceSystem("EPSG:2154"), QgsProject.instance())
    polygon.transform(metric)
    centre = QgsGeometry(feature.geometry())
    centre.transform(metric)
    far = polygon.centroid().asPoint()
    return [polygon.area(), far.x() - centre.asPoint().x(), far.y() - centre.asPoint().y()]


application = QgsApplication([], False)
application.initQgis()
with Path(sys.argv[1]).open(encoding="utf-8") as file:
    jobs = json.load(file)
answer = {
    "features": [feature_style(job) for job in jobs["features"]],
    "rasters": [raster_style(job) for job in jobs["rasters"]],
    "sectors": [sector_area(job) for job in jobs["sectors"]],
    "maplibre": [tile_style(job) for job in jobs["maplibre"]],
}
print("ANSWER" + json.dumps(answer))
application.exitQgis()
