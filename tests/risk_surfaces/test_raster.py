"""The file that is written: a Cloud-Optimised GeoTIFF that any reader understands, the same bytes twice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st

from risk_surfaces.errors import SurfaceError
from risk_surfaces.geobox import GeoBox
from risk_surfaces.raster import MANTISSA_BITS, rounded, write_cog

BOX = GeoBox.covering((880_000.0, 6_240_000.0, 895_000.0, 6_250_000.0), pixel_m=25.0, crs="EPSG:2154")


def bands() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    values = rng.gamma(1.0, 20.0, (2, *BOX.shape))
    values[:, :100, :200] = np.nan
    return {"all": rounded(values[0]), "vols": rounded(values[1])}


@pytest.fixture(scope="module")
def cog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cog") / "exact.tif"
    write_cog(path, bands(), BOX, unit="/km²/a")
    return path


def test_values_place_and_names_come_back(cog: Path):
    with rasterio.open(cog) as raster:
        assert raster.descriptions == ("all", "vols")
        assert raster.units == ("/km²/a", "/km²/a")
        assert raster.crs.to_string() == "EPSG:2154"
        assert raster.transform == BOX.affine
        assert np.isnan(raster.nodata)
        for number, values in enumerate(bands().values(), start=1):
            np.testing.assert_array_equal(raster.read(number), values)


def test_it_is_cloud_optimised(cog: Path):
    """GDAL's own layout mark, square blocks, overviews down to one block, averages of what is on land."""
    with rasterio.open(cog) as raster:
        structure = raster.tags(ns="IMAGE_STRUCTURE")
        assert structure["LAYOUT"] == "COG"
        assert structure["INTERLEAVE"] == "BAND"
        assert set(raster.block_shapes) == {(256, 256)}
        factors = raster.overviews(1)
        assert factors[:1] == [2]
        assert max(raster.shape) / factors[-1] <= 256
    with rasterio.open(cog, overview_level=0) as overview:
        half = overview.read(1)
    expected = bands()["all"].reshape(BOX.shape[0] // 2, 2, BOX.shape[1] // 2, 2).mean(axis=(1, 3))
    np.testing.assert_allclose(half, expected, rtol=1e-5)


def test_the_same_values_are_the_same_bytes(cog: Path, tmp_path: Path):
    again = tmp_path / "again.tif"
    write_cog(again, bands(), BOX, unit="/km²/a")
    assert again.read_bytes() == cog.read_bytes()


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=30))
def test_rounding_is_small_and_final(values: list[float]):
    given_values = np.array(values)
    once = rounded(given_values)
    assert once.dtype == np.float32
    assert np.abs(once / given_values - 1).max() <= 2.0**-MANTISSA_BITS
    np.testing.assert_array_equal(rounded(once.astype(float)), once)
    # The last bits of a machine do not matter, unless a value lies on the edge between two steps.
    assert (rounded(given_values * (1 + 1e-15)) == once).mean() > 0.9


def test_nothing_becomes_something_by_rounding():
    np.testing.assert_array_equal(rounded(np.array([0.0, np.nan])), np.array([0.0, np.nan], dtype=np.float32))


def test_bands_of_another_shape_or_none_are_refused(tmp_path: Path):
    with pytest.raises(SurfaceError, match=r"given: \{'all': \(2, 2\)\}"):
        write_cog(tmp_path / "no.tif", {"all": np.zeros((2, 2), dtype=np.float32)}, BOX, unit="1")
    with pytest.raises(SurfaceError, match="given: none"):
        write_cog(tmp_path / "no.tif", {}, BOX, unit="1")
