"""Planted protocol bugs. A kit that does not kill every one of them within a few worlds proves nothing."""

from typing import Final

from simulation.mutants.mutant import Mutant
from simulation.mutants.outside import OUTSIDE
from simulation.mutants.refusals import REFUSALS
from simulation.mutants.rules import RULES
from simulation.mutants.threads import THREADS
from simulation.mutants.upkeep import UPKEEP
from simulation.mutants.words import WORDS

__all__ = ["MUTANTS", "Mutant"]

MUTANTS: Final[tuple[Mutant, ...]] = (*RULES, *REFUSALS, *UPKEEP, *THREADS, *WORDS, *OUTSIDE)
