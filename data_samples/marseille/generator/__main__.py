"""``python -m data_samples.marseille.generator``: make sure that the sample is there, or write new sums and heads."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from data_samples.marseille.generator.heads import write_heads
from data_samples.marseille.generator.land import FOLDER
from data_samples.marseille.generator.parameters import SEED
from data_samples.marseille.generator.sample import GENERATED, SUMS, ensure_sample, generate, write_sums


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m data_samples.marseille.generator", description=__doc__)
    parser.add_argument("--out", type=Path, help="write a city of another seed into this folder instead")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--write-sums", action="store_true", help="generate and accept the result as the new sample")
    options = parser.parse_args(arguments)

    def tell(message: str, fraction: float) -> None:
        sys.stderr.write(f"{fraction:4.0%}  {message}\n")

    started = time.perf_counter()
    if options.out:
        generate(options.out, options.seed, progress=tell)
    elif options.write_sums:
        write_sums(FOLDER / SUMS, generate(FOLDER / GENERATED, progress=tell).digests)
        write_heads(FOLDER / GENERATED / "deliveries", FOLDER / "heads")
    elif not ensure_sample(progress=tell):
        sys.stderr.write("nothing to do: the sample is there and unchanged\n")
    sys.stderr.write(f"{time.perf_counter() - started:.1f} s\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
