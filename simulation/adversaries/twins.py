"""Twins: one key, two honest processes, each with disk, journal, clock and view of the log of its own."""

from random import Random

from ledger.genesis import Genesis
from simulation.adversaries import Adversary
from simulation.parts.signatures import MemoKey


class Twins(Adversary):
    """In half of all worlds everybody hears both; in the others each twin lives with one half of the validators only,
    hears nobody else and is heard by nobody else: the two never learn of each other."""

    copies = 2

    def __init__(self, genesis: Genesis, index: int, key: MemoKey, random: Random) -> None:
        super().__init__(genesis, index, key, random)
        self._are_apart = Random(genesis.digest).randrange(2) == 0

    def hides(self, value: bytes, reader: int) -> bool:
        return self._are_apart and self.side_of(reader) == 1 - self.copy

    def is_deaf_to(self, writer: int) -> bool:
        return self._are_apart and self.side_of(writer) == 1 - self.copy
