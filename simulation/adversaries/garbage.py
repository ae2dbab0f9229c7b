"""A validator whose records are noise, cut short, or changed in one bit."""

from random import Random
from typing import Final

from consensus.wire.topics import consensus_topics
from ledger.committee import Committees
from ledger.genesis import Genesis
from simulation.adversaries import Adversary
from simulation.parts.signatures import MemoKey

BURST: Final = 40
"""Records in each topic."""
BURSTS_MAX: Final = 6
"""Before the heal, and again after it; the rest of it shall be as long as any other's."""


class Garbage(Adversary):
    """Noise beside everything that it says, on `blocks` too."""

    def outgoing(self, topic: str, value: bytes) -> list[bytes]:
        return [*self.garbage(value), value]

    def garbage(self, value: bytes) -> list[bytes]:
        """Noise, and what looks almost like `value`."""
        place = self.random.randrange(len(value))
        flipped = bytes([value[place] ^ 1 << self.random.randrange(8)])
        return [
            self.random.randbytes(self.random.randrange(200)),
            value[:place],
            value[:place] + flipped + value[place + 1 :],
            value + b"\x00",
        ]


class GarbageBurst(Garbage):
    """Now and then a burst of it in every topic: those of all validators, `blocks` and `checkpoints`."""

    def __init__(self, genesis: Genesis, index: int, key: MemoKey, random: Random) -> None:
        super().__init__(genesis, index, key, random)
        self._bursts = 0

    def on_heal(self) -> None:
        self._bursts = 0

    def outgoing(self, topic: str, value: bytes) -> list[bytes]:
        if self._bursts < BURSTS_MAX and self.random.randrange(8) == 0:
            self._bursts += 1
            shared = [self.genesis.topic_name(name) for name in ("blocks", "checkpoints")]
            for each in (*consensus_topics(self.genesis, Committees.of(self.genesis).current), *shared):
                for _ in range(BURST // 4):
                    for word in self.garbage(value):
                        self.send_to(each, word)
        return [value]
