"""Gaussian kernel density in metres, on land only, that integrates to the number of events.

A kernel near the coast spreads part of its event over the sea, where nothing can happen. Diggle's correction gives that
part back to the same event: each kernel is divided by its own mass on land, so every event weighs exactly one.
"""

from __future__ import annotations

import numpy as np
import scipy.ndimage
import scipy.special
from numpy.typing import NDArray

from risk_surfaces.errors import SurfaceError
from risk_surfaces.geobox import Floats, GeoBox

TRUNCATION = 6.0
"""Kernels end at this many bandwidths (2e-9 of the mass is beyond, and is given back by normalisation)."""

_BLOCK = 4_000_000
"""Pairs of points compared at a time by the exact sum."""


def kernel_weights(bandwidth_m: float, pixel_m: float) -> Floats:
    """Return the one-dimensional kernel: mass of a centred Gaussian over each pixel, from −n to n pixels, sum 1.

    Raises
    ------
    SurfaceError
        If a length is not positive.
    """
    if not (bandwidth_m > 0 and pixel_m > 0):
        raise SurfaceError(f"bandwidth_m = {bandwidth_m:g} and pixel_m = {pixel_m:g} must be positive")
    reach = int(np.ceil(TRUNCATION * bandwidth_m / pixel_m))
    edges = (np.arange(-reach, reach + 2) - 0.5) * pixel_m / bandwidth_m
    mass = np.diff(scipy.special.ndtr(edges))
    mass = (mass + mass[::-1]) / 2
    return np.asarray(mass / mass.sum())


def smooth(values: Floats, weights: Floats) -> Floats:
    """Convolve a grid with the same symmetric kernel along both axes; nothing comes from outside the grid."""
    across = scipy.ndimage.correlate1d(values, weights, axis=0, mode="constant")
    return np.asarray(scipy.ndimage.correlate1d(across, weights, axis=1, mode="constant"))


def bin_points(x_m: Floats, y_m: Floats, box: GeoBox) -> Floats:
    """Share every point among the four pixels around it, the nearer the more; shape of ``box``, sum the points.

    Notes
    -----
    Linear binning keeps each point's place on average, so the error of a density falls with the square of the pixel
    (counting points in their pixel moves each by up to half of one). At the rim what would lie outside stays inside.

    References
    ----------
    Jones & Lotwick (1984), Applied Statistics 33:120–122 (remark on algorithm AS 176).
    """
    rows, columns = box.shape
    row, column = (place - 0.5 for place in box.places_of(x_m, y_m))
    above, left = np.floor(row), np.floor(column)
    down, right = row - above, column - left
    total = np.zeros(rows * columns)
    for i, share_i in ((above, 1 - down), (above + 1, down)):
        for j, share_j in ((left, 1 - right), (left + 1, right)):
            pixel = np.clip(i, 0, rows - 1) * columns + np.clip(j, 0, columns - 1)
            total += np.bincount(pixel.astype(np.int64), weights=share_i * share_j, minlength=total.size)
    return total.reshape(box.shape)


def density(counts: Floats, share: Floats, *, pixel_km2: float, weights: Floats, mass: Floats | None = None) -> Floats:
    """Return the density of binned events on land, with Diggle's edge correction.

    Parameters
    ----------
    counts
        Shape (rows, columns): events per pixel (:func:`bin_points`).
    share
        Shape (rows, columns): land share of each pixel, 0 to 1.
    pixel_km2
        Area of a pixel.
    weights
        The kernel: :func:`kernel_weights`.
    mass
        Kernel mass on land of an event in each pixel, ``smooth(share, weights)``: given, it serves several slices.

    Returns
    -------
    numpy.ndarray
        Events per km² of land; NaN where a pixel holds no land. Σ density × share × pixel area is the number of events.

    Raises
    ------
    SurfaceError
        If an event is farther from land than kernels reach.

    Notes
    -----
    λ(u) = Σ k(u − xᵢ) / e(xᵢ), e(x) = ∫ k(u − x) du over land, with events at the centres of pixels. Cost
    O(pixels × kernel length), whatever the number of events.

    References
    ----------
    Diggle (1985), Applied Statistics 34:138–147; Jones (1993), Statistics and Computing 3:135–146.
    """
    mass = smooth(share, weights) if mass is None else mass
    stray = (counts > 0) & (mass <= 0)
    if stray.any():
        raise SurfaceError(f"{counts[stray].sum():.0f} events are out at sea, beyond {TRUNCATION:g} bandwidths of land")
    corrected = np.divide(counts, mass, out=np.zeros_like(counts), where=counts > 0)
    return np.where(share > 0, smooth(corrected, weights) / pixel_km2, np.nan)


def integral(surface: Floats | NDArray[np.float32], share: Floats, *, pixel_km2: float) -> float:
    """Integrate a density over land: number of events."""
    return float(np.sum(np.where(share > 0, surface, 0.0) * share, dtype=np.float64) * pixel_km2)


def exact_density(points: Floats, at: Floats, *, bandwidth_m: float, point_mass: Floats | None = None) -> Floats:
    """Sum Gaussian kernels at given places, without grid or truncation: the reference of :func:`density`.

    Parameters
    ----------
    points, at
        Shape (n, 2) and (m, 2), metres.
    bandwidth_m
        Standard deviation of the kernel along each axis.
    point_mass
        Shape (n,): mass of each point's kernel inside the window (Diggle's correction); 1 when omitted.

    Returns
    -------
    numpy.ndarray
        Shape (m,), events per square metre. (The *uniform* correction divides this by the mass at ``at`` instead.)
    """
    share = np.ones(len(points)) if point_mass is None else np.asarray(point_mass, dtype=np.float64)
    result = np.empty(len(at))
    block = max(1, _BLOCK // max(len(points), 1))
    for first in range(0, len(at), block):
        some = at[first : first + block]
        squared = ((some[:, None, :] - points[None, :, :]) ** 2).sum(axis=2)
        result[first : first + block] = np.exp(-squared / (2 * bandwidth_m**2)) @ (1 / share)
    return np.asarray(result / (2 * np.pi * bandwidth_m**2))


def rectangle_mass(points: Floats, bounds_m: tuple[float, float, float, float], *, bandwidth_m: float) -> Floats:
    """Return the mass inside a rectangle of a Gaussian kernel at each point, in closed form; shape (n,)."""
    west, south, east, north = bounds_m
    x, y = np.asarray(points, dtype=np.float64).T
    phi = scipy.special.ndtr
    along_x = phi((east - x) / bandwidth_m) - phi((west - x) / bandwidth_m)
    along_y = phi((north - y) / bandwidth_m) - phi((south - y) / bandwidth_m)
    return np.asarray(along_x * along_y)
