"""Real open data in a city folder: a city file of ``tests/layers/real``, links to the files that it names, a home."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import pyarrow.compute as pc

from layers.city import City, load_city
from layers.home import Home
from layers.ingest import ingest
from layers.lake import layer_table, reject_table

REAL = Path(__file__).resolve().parents[1] / "layers" / "real"


@dataclass
class RealCity:
    """A folder with a city file and links to the real files that it names, and its home."""

    folder: Path
    figures: dict[str, int] = field(default_factory=dict)

    @classmethod
    def at(cls, folder: Path, name: str, data: Path) -> RealCity:
        folder.mkdir()
        for path in (REAL / name).iterdir():
            shutil.copy(path, folder)
        city = load_city(folder)
        patterns = [pattern for source in city.sources for pattern in source.deliveries]
        for pattern in patterns + [level.path for level in city.zones if level.path]:
            for file in data.glob(pattern):
                link = folder / file.relative_to(data)
                link.parent.mkdir(parents=True, exist_ok=True)
                if not link.exists():
                    link.symlink_to(file)
        return cls(folder)

    @property
    def home(self) -> Home:
        return Home(self.folder / "home")

    @property
    def city(self) -> City:
        return load_city(self.folder)

    def ingest(self) -> bool:
        """Ingest, remember the figures, and say whether there was nothing to do."""
        report = ingest(self.city, self.home)
        self.figures = dict(report.figures)
        return report.skipped

    def of(self, source: str) -> dict[str, int]:
        prefix = f"{source}."
        return {name.removeprefix(prefix): n for name, n in self.figures.items() if name.startswith(prefix)}

    def delivered(self, source: str) -> Path:
        pattern = next(s.deliveries[0] for s in self.city.sources if s.id == source)
        return next(iter(self.folder.glob(pattern)))

    def records(self, source: str) -> pd.DataFrame:
        layer = next(s.layer for s in self.city.sources if s.id == source)
        table = layer_table(self.home, layer).read()
        return table.filter(pc.equal(table.column("source"), source)).to_pandas()

    def reasons(self, source: str) -> dict[int, str]:
        """Row number → reason."""
        return {r["row"]: r["reason"] for r in reject_table(self.home, source).read().to_pylist()}


def read_plainly(path: Path) -> pd.DataFrame:
    """A delivery as pandas reads it: text, empty for nothing."""
    if path.suffix == ".parquet":
        return pd.read_parquet(path)
    header = pd.read_csv(path, sep="\x00", nrows=0, encoding="utf-8-sig", engine="python").columns[0]
    return pd.read_csv(path, sep=max(",;\t", key=header.count), dtype=str, keep_default_na=False, encoding="utf-8-sig")
