"""Run by QGIS' own Python: load styles as a user does, and tell as JSON what QGIS makes of them.

Argument: a JSON file with ``features`` (QML, GeoJSON, attribute, values), ``rasters`` (QML, GeoTIFF, values) and
``maplibre`` (style documents).
"""

import json
import sys
from pathlib import Path

from qgis.core import (
    QgsApplication,
    QgsExpression,
    QgsExpressionContext,
    QgsFeature,
    QgsField,
    QgsFields,
    QgsMapBoxGlStyleConversionContext,
    QgsMapBoxGlStyleConverter,
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


application = QgsApplication([], False)
application.initQgis()
with Path(sys.argv[1]).open(encoding="utf-8") as file:
    jobs = json.load(file)
answer = {
    "features": [feature_style(job) for job in jobs["features"]],
    "rasters": [raster_style(job) for job in jobs["rasters"]],
    "maplibre": [tile_style(job) for job in jobs["maplibre"]],
}
print("ANSWER" + json.dumps(answer))
application.exitQgis()
