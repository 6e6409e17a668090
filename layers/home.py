"""The home folder: where the lake, the runs and the state of one city live."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Home:
    """Paths of one home folder (``CALANQUE_HOME``, default ``./var``). One home holds one city."""

    root: Path

    @classmethod
    def from_environment(cls) -> Home:
        """Home named by ``CALANQUE_HOME``, or ``./var``."""
        return cls(Path(os.environ.get("CALANQUE_HOME") or "var").resolve())

    @property
    def lake(self) -> Path:
        """Raw deliveries, layers, rejects, cube and staged products."""
        return self.root / "lake"

    @property
    def raw(self) -> Path:
        return self.lake / "raw"

    @property
    def layers(self) -> Path:
        return self.lake / "layers"

    @property
    def rejects(self) -> Path:
        return self.lake / "rejects"

    @property
    def cube(self) -> Path:
        return self.lake / "cube"

    @property
    def stages(self) -> Path:
        """Products of a step, under the digest of the step's inputs."""
        return self.lake / "stages"

    @property
    def runs(self) -> Path:
        return self.root / "runs"

    @property
    def current(self) -> Path:
        """Symbolic link to the run that is served."""
        return self.runs / "current"

    @property
    def state(self) -> Path:
        """What is not a run: jobs, accounts, journal."""
        return self.root / "state"
