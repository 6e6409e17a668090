"""Which resolution of a product is drawn at which zoom: one rule for tiles and for styles."""

from __future__ import annotations

from collections.abc import Collection, Mapping


def zoom_ranges(resolutions: Collection[int], tile_resolutions: Mapping[int, int]) -> dict[int, tuple[int, int | None]]:
    """Zooms at which each resolution of a product is drawn.

    Parameters
    ----------
    resolutions
        H3 resolutions that the product has.
    tile_resolutions
        First zoom → resolution wished from there on (the city file's ``grid.tile_resolutions``).

    Returns
    -------
    dict
        Resolution → first zoom, and first zoom without it (``None``: to the end). Every zoom from 0 has exactly one
        resolution: the finest that is no finer than wished, else the coarsest there is. Resolutions that are never
        drawn are left out.
    """
    if not resolutions:
        return {}
    drawn: list[tuple[int, int]] = []
    for zoom in sorted({0, *tile_resolutions}):
        wished = max((z for z in tile_resolutions if z <= zoom), default=None)
        target = min(resolutions) if wished is None else tile_resolutions[wished]
        resolution = max((r for r in resolutions if r <= target), default=min(resolutions))
        if not drawn or drawn[-1][1] != resolution:
            drawn.append((zoom, resolution))
    ends = [zoom for zoom, _ in drawn[1:]]
    ranges: dict[int, tuple[int, int | None]] = {}
    for (start, resolution), end in zip(drawn, [*ends, None], strict=True):
        if resolution in ranges:
            raise ValueError(
                f"resolution {resolution} is wished at two separate ranges of zooms: {dict(tile_resolutions)}"
            )
        ranges[resolution] = (start, end)
    return ranges
