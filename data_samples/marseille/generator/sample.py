"""The whole sample: generate it, sum it, and make sure that it is there."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from data_samples.marseille.generator.agenda import make_agenda, write_agenda
from data_samples.marseille.generator.cameras import make_cameras, write_cameras
from data_samples.marseille.generator.deliveries import write_incidents
from data_samples.marseille.generator.land import FOLDER, load_sites
from data_samples.marseille.generator.parameters import SEED
from data_samples.marseille.generator.process import simulate
from data_samples.marseille.generator.randomness import Streams
from data_samples.marseille.generator.recording import record
from data_samples.marseille.generator.reference import write_reference
from data_samples.marseille.generator.truth import Truth, write_truth

GENERATED = "generated"
SUMS = "SHA256SUMS"
TEMPORARY = ".generating-"
Progress = Callable[[str, float], None]


def generate(out: Path, seed: int = SEED, *, progress: Progress | None = None) -> Truth:
    """Generate deliveries, reference layers and truth.

    Parameters
    ----------
    out
        Folder to write into: ``deliveries/``, ``reference/`` and ``truth/``. Files there are replaced.
    seed
        Everything follows from it.
    progress
        Called with a message and the fraction done.

    Returns
    -------
    Truth
        The truth document and the SHA-256 of every file.
    """
    tell = progress or (lambda _message, _fraction: None)
    folders = {name: out / name for name in ("deliveries", "reference", "truth")}
    for folder in folders.values():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    tell("Simulation de la ville", 0.0)
    simulation = simulate(seed)
    tell("Enregistrements", 0.35)
    records = record(simulation)
    streets = simulation.town.streets.names
    dirty, corrections = write_incidents(folders["deliveries"], records, streets, Streams(seed))
    tell("Agenda et caméras", 0.7)
    agenda, cameras = make_agenda(simulation, load_sites()), make_cameras(simulation)
    write_agenda(folders["deliveries"], agenda)
    write_cameras(folders["deliveries"], cameras)
    write_reference(folders["reference"], simulation)
    tell("Vérités plantées", 0.85)
    final = records[~records["record_id"].isin(corrections.loc[corrections["change"] == "withdrawn", "record_id"])]
    document = write_truth(
        folders["truth"], simulation, final, corrections=corrections, dirty=dirty, agenda=agenda, cameras=cameras
    )
    tell("Terminé", 1.0)
    return Truth(seed, document, file_digests(out))


def file_digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below ``folder``, by its path relative to it, sorted."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def read_sums(path: Path) -> dict[str, str]:
    """Read a file written by ``sha256sum``: path → digest."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return {name: digest for digest, name in (line.split("  ", 1) for line in lines)}


def write_sums(path: Path, digests: dict[str, str]) -> None:
    """Write digests as ``sha256sum`` does."""
    path.write_text("".join(f"{digest}  {name}\n" for name, digest in sorted(digests.items())), encoding="utf-8")


def ensure_sample(folder: Path = FOLDER, *, progress: Progress | None = None) -> bool:
    """Generate the sample unless it is there, whole and unchanged.

    Parameters
    ----------
    folder
        Folder of the city file, which holds ``SHA256SUMS``; files go to its ``generated/``.
    progress
        Called with a message and the fraction done.

    Returns
    -------
    bool
        Whether it was generated now.

    Raises
    ------
    RuntimeError
        If what was generated differs from the committed sums: the oracles of the tests would not hold.
    """
    target, sums = folder / GENERATED, read_sums(folder / SUMS)
    with _alone(folder):
        if target.is_dir() and file_digests(target) == sums:
            return False
        for left_over in folder.glob(f"{TEMPORARY}*"):
            shutil.rmtree(left_over)
        _generate_checked(target, sums, progress)
    return True


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Let one process generate; others wait (an advisory lock on the folder itself leaves no file behind)."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _generate_checked(target: Path, sums: dict[str, str], progress: Progress | None) -> None:
    """Generate beside ``target``, compare with the sums, then take its place."""
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=TEMPORARY) as temporary:
        made = Path(temporary) / GENERATED
        truth = generate(made, progress=progress)
        differing = sorted(n for n in sums.keys() | truth.digests.keys() if sums.get(n) != truth.digests.get(n))
        if differing:
            raise RuntimeError(
                f"the generated sample differs from {target.parent / SUMS} in {', '.join(differing)}: "
                "use the versions of requirements.lock, or write new sums on purpose (--write-sums)"
            )
        if target.exists():
            target.rename(Path(temporary) / "old")
        made.rename(target)
