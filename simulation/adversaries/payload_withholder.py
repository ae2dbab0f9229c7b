"""A leader whose blocks order records that the log shows to it and to few others."""

from random import Random

from ledger.genesis import Genesis
from simulation.adversaries import Adversary
from simulation.parts.signatures import MemoKey


class PayloadWithholder(Adversary):
    """The log colludes: of every fifth record, two readers of three see nothing, nor of what lies behind it, until the
    heal. The validator itself sees all and proposes it in earnest."""

    def __init__(self, genesis: Genesis, index: int, key: MemoKey, random: Random) -> None:
        super().__init__(genesis, index, key, random)
        self._withheld: dict[tuple[str, int, int, int], bool] = {}

    def withholds(self, topic_id: str, partition: int, offset: int, reader: int) -> bool:
        if offset % 5 != 4 or reader % len(self.genesis.validators) == self.index:
            return False
        return self._withheld.setdefault((topic_id, partition, offset, reader), self.random.randrange(3) > 0)
