"""Steps of the pipeline: what they report, and the folders in which their products wait for publication."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from layers.errors import LakeError
from layers.home import Home, replace_file
from layers.lake import sync_path
from layers.products import Product

Figure = int | float | str
ProgressCallback = Callable[[str, float], None]
"""Called with a message and the fraction done, 0 to 1."""

_STAGE = "stage.json"
_POINTER = "latest.json"


@dataclass(frozen=True, slots=True)
class StepReport:
    """What a step did: printed in the build's summary."""

    step: str
    key: str
    skipped: bool
    seconds: float
    figures: Mapping[str, Figure] = field(default_factory=dict)


def no_progress(_message: str, _fraction: float) -> None:
    """Stand in for a progress bar."""


class Stage:
    """Products of one step for one key, in ``lake/stages/<step>/<key>/``.

    Parameters
    ----------
    home
        The home folder.
    step
        Name of the step: ``index``, ``analyse`` …
    key
        Digest of the step's inputs.
    """

    def __init__(self, home: Home, step: str, key: str) -> None:
        self.step = step
        self.key = key
        self._root = home.stages / step
        self.folder: Path = self._root / key

    @property
    def complete(self) -> bool:
        """Whether every product is there: ``stage.json`` is written last."""
        return self._document() is not None

    def begin(self) -> Path:
        """Empty an incomplete folder and return it; rasters are written there.

        Raises
        ------
        LakeError
            If the stage is complete.
        """
        if self.complete:
            raise LakeError(f"stage {self.step} {self.key} is complete and is not written twice")
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        return self.folder

    def finish(self, products: Sequence[Product], figures: Mapping[str, Figure]) -> None:
        """Save each product in ``folder/<product id>/``, then ``stage.json``, then point at this stage.

        Older stages of the step are removed, save the previous one, which a publication may be reading.
        """
        for product in products:
            product.save(self.folder / product.spec.id)
        for path in sorted(self.folder.rglob("*")):
            sync_path(path)
        document = {
            "step": self.step,
            "key": self.key,
            "products": [p.spec.id for p in products],
            "figures": dict(figures),
        }
        replace_file(self.folder / _STAGE, json.dumps(document, ensure_ascii=False, indent=1).encode())
        previous = _pointed(self._root)
        self.point()
        for folder in self._root.iterdir():
            if folder.is_dir() and folder.name not in {self.key, previous}:
                shutil.rmtree(folder, ignore_errors=True)

    def point(self) -> None:
        """Name this stage as the step's latest (also when the step is skipped: its key may be an earlier one)."""
        if _pointed(self._root) != self.key:
            replace_file(self._root / _POINTER, json.dumps({"key": self.key}).encode())

    def products(self) -> list[Product]:
        """Read the products, in the order in which they were given."""
        return [Product.load(self.folder / product_id) for product_id in self._whole()["products"]]

    def figures(self) -> dict[str, Figure]:
        """Return the figures of the step's report."""
        return dict(self._whole()["figures"])

    def _whole(self) -> dict[str, Any]:
        document = self._document()
        if document is None:
            raise LakeError(f"stage {self.step} {self.key} is not complete")
        return document

    def _document(self) -> dict[str, Any] | None:
        try:
            document: dict[str, Any] = json.loads((self.folder / _STAGE).read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return None
        return document


def _pointed(root: Path) -> str | None:
    try:
        key = json.loads((root / _POINTER).read_text(encoding="utf-8")).get("key")
    except (FileNotFoundError, ValueError):
        return None
    return key if isinstance(key, str) else None


def latest_stage(home: Home, step: str) -> Stage | None:
    """Return the complete stage that the step's pointer names, or None."""
    key = _pointed(home.stages / step)
    stage = Stage(home, step, key) if key else None
    return stage if stage is not None and stage.complete else None
