"""The seeded generator of the sample city.

>>> from data_samples.marseille.generator import ensure_sample, generate, simulate
"""

from data_samples.marseille.generator.parameters import SEED
from data_samples.marseille.generator.process import Simulation, simulate
from data_samples.marseille.generator.sample import ensure_sample, generate
from data_samples.marseille.generator.truth import Truth

__all__ = ["SEED", "Simulation", "Truth", "ensure_sample", "generate", "simulate"]
