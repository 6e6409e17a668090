"""How files are read: one small class per format, found by name."""

from layers.readers.base import Batch, Delivery, OpenDelivery, Reader, open_delivery, read_delivery, reader_for
from layers.readers.columnar import ParquetReader
from layers.readers.delimited import DelimitedReader
from layers.readers.spreadsheets import OdsReader, XlsxReader
from layers.readers.vector import FlatGeobufReader, GeoJsonReader, GeoPackageReader, ShapefileReader

__all__ = [
    "Batch",
    "DelimitedReader",
    "Delivery",
    "FlatGeobufReader",
    "GeoJsonReader",
    "GeoPackageReader",
    "OdsReader",
    "OpenDelivery",
    "ParquetReader",
    "Reader",
    "ShapefileReader",
    "XlsxReader",
    "open_delivery",
    "read_delivery",
    "reader_for",
]
