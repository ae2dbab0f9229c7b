"""A validator that says again what anybody said long ago."""

from random import Random
from typing import Final

from ledger.genesis import Genesis
from simulation.adversaries import Adversary
from simulation.parts.signatures import MemoKey

HEARD_MAX: Final = 500


class Replayer(Adversary):
    """Two old records of anybody with each of its own, on its own topic."""

    def __init__(self, genesis: Genesis, index: int, key: MemoKey, random: Random) -> None:
        super().__init__(genesis, index, key, random)
        self._heard: list[bytes] = []

    def on_record(self, topic: str, value: bytes) -> None:
        if len(self._heard) < HEARD_MAX:
            self._heard.append(value)
        else:
            self._heard[self.random.randrange(HEARD_MAX)] = value

    def outgoing(self, topic: str, value: bytes) -> list[bytes]:
        old = self.random.sample(self._heard, min(2, len(self._heard)))
        return [*old, value]
