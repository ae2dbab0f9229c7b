"""An executor of a world: it makes of every checkpoint block what stands for the state after it."""

from hashlib import sha256
from typing import Final

from backbone.store import StoredFinal
from ledger import digests
from ledger.checkpoint import Checkpoint, checkpoint_digest, encode_checkpoint
from ledger.checkpoint_rule import CheckpointRule, Mark, genesis_mark
from ledger.genesis import Genesis
from simulation.parts.store import header_of

NEWEST: Final = 64


class SimExecutor:
    """Its database lasts: a crash takes nothing from it. `twist` goes into every root: another one, another state."""

    def __init__(self, genesis: Genesis) -> None:
        self.twist = b""
        self.checkpoints: list[Checkpoint] = []
        self._genesis = genesis
        self._rule = CheckpointRule(genesis)
        self._mark: Mark = genesis_mark(genesis)
        self._state = self._previous = genesis.digest
        self._executed = 0

    def execute(self, finals: list[StoredFinal]) -> bool:
        """Come to the end of what is stored; whether there is a new checkpoint."""
        before = len(self.checkpoints)
        for final in finals[self._executed :]:
            self._execute(final)
        self._executed = len(finals)
        return len(self.checkpoints) > before

    def newest(self) -> tuple[Checkpoint, ...]:
        """As the execute process hands them over."""
        return tuple(self.checkpoints[-NEWEST:])

    def _execute(self, final: StoredFinal) -> None:
        header = header_of(final.header_bytes, self._genesis.partitions)
        digest = digests.block_digest(self._genesis.digest, final.header_bytes)
        self._state = sha256(self._state + digest + self.twist).digest()
        if self._rule.holds(header, self._mark):
            self._mark = header
            checkpoint = Checkpoint(header.epoch, header.height, digest, header.heads, self._state, self._previous)
            self._previous = checkpoint_digest(self._genesis, encode_checkpoint(checkpoint))
            self.checkpoints.append(checkpoint)
