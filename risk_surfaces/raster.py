"""Writing surfaces: one Cloud-Optimised GeoTIFF, the same bytes for the same values."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import rasterio
import rasterio.shutil
from numpy.typing import NDArray
from rasterio.io import MemoryFile

from risk_surfaces.errors import SurfaceError
from risk_surfaces.geobox import Floats, GeoBox

MANTISSA_BITS = 14
"""Kept of each value: a relative step of 6e-5. Digests then do not depend on the last bits of a machine, and files
shrink to a third."""

_BLOCK_PIXELS = 256


def rounded(values: Floats) -> NDArray[np.float32]:
    """Keep ``MANTISSA_BITS`` of each value, as float32; NaN stays NaN."""
    fraction, exponent = np.frexp(values)
    kept = np.ldexp(np.rint(np.ldexp(fraction, MANTISSA_BITS)), exponent - MANTISSA_BITS)
    return np.asarray(kept, dtype=np.float32)


def write_cog(path: Path, bands: Mapping[str, NDArray[np.float32]], box: GeoBox, *, unit: str) -> None:
    """Write named bands as a Cloud-Optimised GeoTIFF with overviews; nodata is NaN.

    Parameters
    ----------
    path
        File to write; its folder exists.
    bands
        Name (the band's description) → values, shape of ``box``, NaN off the land.
    box
        Where the pixels are.
    unit
        Unit of every band.

    Raises
    ------
    SurfaceError
        If there is no band, or one has another shape than the grid.
    """
    wrong = {name: values.shape for name, values in bands.items() if values.shape != box.shape}
    if not bands or wrong:
        raise SurfaceError(f"bands of shape {box.shape} were expected, given: {wrong or 'none'}")
    profile = {
        "driver": "GTiff",
        "height": box.shape[0],
        "width": box.shape[1],
        "count": len(bands),
        "dtype": "float32",
        "crs": box.crs,
        "transform": box.affine,
        "nodata": float("nan"),
        "interleave": "band",
    }
    with MemoryFile() as memory:
        with memory.open(**profile) as plain:
            for number, (name, values) in enumerate(bands.items(), start=1):
                plain.write(values, number)
                plain.set_band_description(number, name)
            plain.units = (unit,) * len(bands)
        # Bands apart: a map tile reads one of them. One thread: the order of blocks is then always the same.
        rasterio.shutil.copy(
            memory.name,
            path,
            driver="COG",
            compress="DEFLATE",
            predictor="FLOATING_POINT",
            blocksize=_BLOCK_PIXELS,
            interleave="BAND",
            overviews="IGNORE_EXISTING",
            resampling="AVERAGE",
            bigtiff="IF_SAFER",
            num_threads="1",
        )
