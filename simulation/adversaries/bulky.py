"""A validator whose records are as large as a log takes without a word."""

from random import Random
from typing import Final

from consensus.wire.topics import consensus_topics
from ledger.committee import Committees
from ledger.genesis import Genesis
from simulation.adversaries import Adversary
from simulation.parts.signatures import MemoKey

BURST: Final = 100
"""Records in one topic."""
BURSTS_MAX: Final = 3
"""Before the heal, and again after it."""
BYTES: Final = 24_000


class Bulky(Adversary):
    """Now and then two megabytes in a topic, of whomever: a vote or block with as much behind it."""

    def __init__(self, genesis: Genesis, index: int, key: MemoKey, random: Random) -> None:
        super().__init__(genesis, index, key, random)
        self._bursts = 0

    def on_heal(self) -> None:
        self._bursts = 0

    def outgoing(self, topic: str, value: bytes) -> list[bytes]:
        if self._bursts < BURSTS_MAX and self.random.randrange(8) == 0:
            self._bursts += 1
            own = consensus_topics(self.genesis, Committees.of(self.genesis).current)
            into = self.random.choice((*own, self.genesis.topic_name("blocks"), self.genesis.topic_name("checkpoints")))
            for number in range(BURST):
                self.send_to(into, value + number.to_bytes(4, "big") + bytes(BYTES))
        return [value]
