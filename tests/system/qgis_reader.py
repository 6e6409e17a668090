"""Run by QGIS' own Python: open collections by the OAPIF provider, count, read a rectangle, draw with the server's QML.

Usage: python3 qgis_reader.py request.json → one JSON document on standard output.
"""

import json
import os
import sys
from pathlib import Path

from qgis.core import (
    QgsApplication,
    QgsCoordinateReferenceSystem,
    QgsFeatureRequest,
    QgsMapRendererCustomPainterJob,
    QgsMapSettings,
    QgsPointXY,
    QgsRectangle,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QSize
from qgis.PyQt.QtGui import QColor, QImage, QPainter


def open_layer(root, name):
    uri = f"pagingEnabled='true' restrictToRequestBBOX='1' typename='{name}' url='{root}/' version='OGC_API_FEATURES'"
    layer = QgsVectorLayer(uri, name, "OAPIF")
    if not layer.isValid():
        raise SystemExit(f"{name}: {layer.error().summary() or layer.dataProvider().error().summary()}")
    return layer


def read(layer, key, rectangle=None):
    request = QgsFeatureRequest()
    if rectangle:
        request.setFilterRect(QgsRectangle(*rectangle))
        request.setFlags(QgsFeatureRequest.ExactIntersect)
    return [feature[key] for feature in layer.getFeatures(request)]


def draw(layer, qml, picture, size_px, rectangle, probes):
    message, loaded = layer.loadNamedStyle(qml)
    if not loaded:
        raise SystemExit(f"style: {message}")
    settings = QgsMapSettings()
    settings.setLayers([layer])
    settings.setDestinationCrs(QgsCoordinateReferenceSystem("OGC:CRS84"))
    settings.setOutputSize(QSize(size_px, size_px))
    settings.setExtent(QgsRectangle(*rectangle))
    settings.setBackgroundColor(QColor("white"))
    image = QImage(settings.outputSize(), QImage.Format_ARGB32_Premultiplied)
    image.fill(QColor("white"))
    painter = QPainter(image)
    job = QgsMapRendererCustomPainterJob(settings, painter)
    job.start()
    job.waitForFinished()
    painter.end()
    image.save(picture)
    to_pixel = settings.mapToPixel()
    colours = []
    for lon, lat in probes:
        point = to_pixel.transform(QgsPointXY(lon, lat))
        colours.append(QColor(image.pixel(int(point.x()), int(point.y()))).name())
    return colours


def main():
    asked = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    application = QgsApplication([], False)
    application.initQgis()
    answer = {}
    for name, key in asked["layers"].items():
        layer = open_layer(asked["root"], name)
        answer[name] = {
            "fields": [f.name() for f in layer.fields()],
            "types": [f.typeName() for f in layer.fields()],
            "count": layer.featureCount(),
            "keys": read(layer, key) if name in asked["read_whole"] else None,
            "inside": read(layer, key, asked["rectangle"]),
        }
        if name == asked["drawn"]:
            answer[name]["pixels"] = draw(
                layer, asked["qml"], asked["picture"], asked["picture_px"], asked["picture_bounds"], asked["probes"]
            )
    print("ANSWER " + json.dumps(answer), flush=True)
    # QGIS may crash when Python takes its objects apart in another order than C++ expects: there is nothing left to do
    os._exit(0)


if __name__ == "__main__":
    main()
