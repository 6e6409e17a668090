"""Densities against spatstat, closed forms, exact sums, and their own integral."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.integrate
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from risk_surfaces.errors import SurfaceError
from risk_surfaces.geobox import GeoBox
from risk_surfaces.kernel_density import (
    bin_points,
    density,
    exact_density,
    integral,
    kernel_weights,
    rectangle_mass,
    smooth,
)
from risk_surfaces.land_share import land_share

CRS = "EPSG:2154"
WINDOW_M = (0.0, 0.0, 6_000.0, 4_000.0)


def chicago(shared_data: Path) -> pd.DataFrame:
    """970 burglaries and spatstat 3.0-6's densities at them (R 4.2.2), per m², self included."""
    return pd.read_csv(shared_data / "known_answers" / "spatstat" / "chicago_be_month1_kde_at_points.csv")


@pytest.mark.parametrize("bandwidth_m", [300, 1000])
def test_exact_density_at_points_is_that_of_spatstat(shared_data: Path, bandwidth_m: int):
    known = chicago(shared_data)
    points = known[["x", "y"]].to_numpy()
    found = exact_density(points, points, bandwidth_m=bandwidth_m)
    np.testing.assert_allclose(found, known[f"kde_gaussian_sd{bandwidth_m}"], rtol=1e-9)


def test_uniform_correction_on_a_rectangle_is_that_of_spatstat(shared_data: Path):
    known = chicago(shared_data)
    points = known[["x", "y"]].to_numpy()
    window = (340_966, 553_149, 367_219, 594_609)
    found = exact_density(points, points, bandwidth_m=1000) / rectangle_mass(points, window, bandwidth_m=1000)
    np.testing.assert_allclose(found, known["kde_gaussian_sd1000_edge"], rtol=1e-9)


def test_the_closed_form_of_a_rectangle_is_the_integral_of_the_kernel():
    """Also the exact values at a corner (1/4) and in the middle of a long edge (1/2)."""
    points = np.array([(0.0, 0.0), (3_000.0, 0.0), (700.0, 3_800.0)])
    found = rectangle_mass(points, WINDOW_M, bandwidth_m=250)
    np.testing.assert_allclose(found[:2], [0.25, 0.5], rtol=1e-12)
    x, y = points[2]

    def kernel(v: float, u: float) -> float:
        return float(np.exp(-((u - x) ** 2 + (v - y) ** 2) / (2 * 250**2)) / (2 * np.pi * 250**2))

    area = scipy.integrate.dblquad(kernel, 0, 2_500, 2_000, 4_000, epsabs=1e-12)[0]
    assert found[2] == pytest.approx(area, abs=1e-8)


def rectangle_grid(pixel_m: float) -> tuple[GeoBox, np.ndarray]:
    box = GeoBox.covering(WINDOW_M, pixel_m=pixel_m, crs=CRS)
    return box, land_share(shapely.box(*WINDOW_M), box)


def test_the_raster_is_the_exact_diggle_density_within_two_per_cent():
    """What is left is the error of sharing each event among pixels a tenth of the bandwidth wide."""
    points = np.random.default_rng(1).uniform((0, 0), (6_000, 4_000), (400, 2))
    box, share = rectangle_grid(25.0)
    weights = kernel_weights(250.0, 25.0)
    counts = bin_points(points[:, 0], points[:, 1], box)
    raster = density(counts, share, pixel_km2=box.pixel_km2, weights=weights)
    x, y = box.centres()
    at = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    mass = rectangle_mass(points, WINDOW_M, bandwidth_m=250.0)
    exact = exact_density(points, at, bandwidth_m=250.0, point_mass=mass).reshape(box.shape) * 1e6
    dense = exact > 0.05 * exact.max()
    assert np.abs(raster / exact - 1)[dense].max() < 0.02
    assert np.abs(raster / exact - 1)[dense].mean() < 0.002


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_binning_keeps_the_number_and_the_centre_of_points(seed: int):
    rng = np.random.default_rng(seed)
    box = GeoBox.covering(WINDOW_M, pixel_m=50.0, crs=CRS)
    points = rng.uniform((25, 25), (5_975, 3_975), (rng.integers(1, 40), 2))
    counts = bin_points(points[:, 0], points[:, 1], box)
    x, y = box.centres()
    assert counts.sum() == pytest.approx(len(points))
    centre = (counts.sum(axis=0) @ x / counts.sum(), counts.sum(axis=1) @ y / counts.sum())
    np.testing.assert_allclose(centre, points.mean(axis=0), atol=1e-6)
    rim = bin_points(np.array([0.0, 6_000.0]), np.array([0.0, 4_000.0]), box)
    assert (rim[-1, 0], rim[0, -1]) == (1, 1)


def coast(seed: int) -> shapely.Geometry:
    """A ragged island, a lagoon in it, and an islet smaller than a pixel."""
    rng = np.random.default_rng(seed)
    angles = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    radius = 1_500 * rng.uniform(0.6, 1.3, 40)
    shore = np.column_stack([3_000 + radius * np.cos(angles), 2_000 + radius * np.sin(angles)])
    lagoon = shapely.Point(3_000, 2_000).buffer(400)
    return shapely.union_all([shapely.Polygon(shore).difference(lagoon), shapely.box(5_503, 3_701, 5_511, 3_713)])


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 10_000), bandwidth_m=st.floats(60, 600), pixel_m=st.sampled_from([20.0, 33.0, 50.0]))
def test_the_density_integrates_to_its_events_on_any_coast(seed: int, bandwidth_m: float, pixel_m: float):
    land = coast(seed)
    box = GeoBox.covering(shapely.bounds(land).tolist(), pixel_m=pixel_m, crs=CRS)
    share = land_share(land, box)
    rng = np.random.default_rng(seed)
    candidates = rng.uniform(box.bounds_m[:2], box.bounds_m[2:], (3_000, 2))
    points = np.vstack([candidates[shapely.contains_xy(land, candidates)], [(5_507.0, 3_707.0)]])
    counts = bin_points(points[:, 0], points[:, 1], box)
    found = density(counts, share, pixel_km2=box.pixel_km2, weights=kernel_weights(bandwidth_m, pixel_m))
    assert integral(found, share, pixel_km2=box.pixel_km2) == pytest.approx(len(points), rel=1e-9)
    assert np.isnan(found[share == 0]).all()
    assert (found[share > 0] >= 0).all()


def test_without_correction_the_coast_loses_its_events():
    """The integral test can fail: uncorrected, events within two bandwidths of the sea are lost in part."""
    land = coast(1)
    box = GeoBox.covering(shapely.bounds(land).tolist(), pixel_m=25.0, crs=CRS)
    share = land_share(land, box)
    rng = np.random.default_rng(1)
    candidates = rng.uniform(box.bounds_m[:2], box.bounds_m[2:], (3_000, 2))
    points = candidates[shapely.contains_xy(land, candidates)]
    counts = bin_points(points[:, 0], points[:, 1], box)
    whole = np.ones_like(share)
    lossy = density(counts, share, pixel_km2=box.pixel_km2, weights=kernel_weights(300.0, 25.0), mass=whole)
    assert integral(lossy, share, pixel_km2=box.pixel_km2) < 0.9 * len(points)


def test_an_even_city_has_an_even_density():
    """Constant intensity on land: no false coast, unlike a kernel cut by the sea, which halves it."""
    box, share = rectangle_grid(50.0)
    found = density(np.full(box.shape, 3.0), share, pixel_km2=box.pixel_km2, weights=kernel_weights(100.0, 50.0))
    even = 3 / box.pixel_km2
    np.testing.assert_allclose(found[26:-26, 26:-26], even, rtol=1e-9)  # beyond two kernels from the edge
    assert 0.6 * even < found.min() < found.max() < 1.3 * even
    assert found.sum() * box.pixel_km2 == pytest.approx(3 * share.size)


@pytest.mark.parametrize(("bandwidth_m", "pixel_m"), [(250.0, 25.0), (60.0, 25.0), (33.0, 10.0)])
def test_the_kernel_is_symmetric_has_unit_mass_and_the_bandwidth_asked_for(bandwidth_m: float, pixel_m: float):
    weights = kernel_weights(bandwidth_m, pixel_m)
    assert weights.sum() == pytest.approx(1, abs=1e-15)
    np.testing.assert_array_equal(weights, weights[::-1])
    assert (weights.size - 1) / 2 * pixel_m >= 5 * bandwidth_m
    at = (np.arange(weights.size) - weights.size // 2) * pixel_m
    # A Gaussian averaged over pixels has the variance of a pixel more.
    assert (weights * at**2).sum() == pytest.approx(bandwidth_m**2 + pixel_m**2 / 12, rel=1e-4)


def test_smoothing_is_the_plain_double_sum():
    rng = np.random.default_rng(2)
    values, weights = rng.random((9, 12)), kernel_weights(20.0, 25.0)
    reach = weights.size // 2
    padded = np.pad(values, reach)
    plain = np.zeros_like(values)
    for i, a in enumerate(weights):
        for j, b in enumerate(weights):
            plain += a * b * padded[i : i + 9, j : j + 12]
    np.testing.assert_allclose(smooth(values, weights), plain, atol=1e-14)


def test_an_event_far_out_at_sea_is_refused():
    land = shapely.box(0, 0, 100, 100)
    box = GeoBox.covering((0, 0, 5_000, 100), pixel_m=25.0, crs=CRS)
    counts = bin_points(np.array([4_900.0]), np.array([50.0]), box)
    with pytest.raises(SurfaceError, match="1 events are out at sea"):
        density(counts, land_share(land, box), pixel_km2=box.pixel_km2, weights=kernel_weights(50.0, 25.0))


def test_lengths_are_positive():
    with pytest.raises(SurfaceError, match="must be positive"):
        kernel_weights(0.0, 25.0)
