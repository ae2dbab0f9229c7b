"""The headers above the last delivered block: which are known, which are final, which are checkpoints.

*Final* is what a finalization proves. *Delivered* is what was given to the store: final, and every record held.
"""

from typing import Final

from consensus.wire.final_blocks import DESCENDANTS_MAX, Proven
from consensus.wire.messages import Block, Certificate
from ledger.checkpoint_rule import CheckpointRule
from ledger.errors import Halt

FINALS_MAX: Final = 2048
"""Final blocks that wait for their records or for a block below them."""
UNLINKED_MAX: Final = 256
"""Blocks that are kept, whatever their views, while a header between the delivered block and a final one is missing."""
LATE_MAX: Final = 64
"""Headers of one leader that came late and are kept meanwhile: one of them may be the next that is missing."""


class BlockFork(Halt):
    """Two final blocks contradict each other: more than a third of the power is Byzantine. Halt, keep all proofs."""


class Chain:
    """Known blocks by digest, from the delivered one upwards."""

    def __init__(self, rule: CheckpointRule, delivered: Block, checkpoint: Block) -> None:
        self.rule = rule
        self.delivered = delivered
        self.checkpoint = checkpoint
        """The last checkpoint block up to `delivered`; genesis at first."""
        self._blocks = {delivered.digest: delivered}
        self._finals: dict[int, Proven] = {}
        self._gap = 0
        self.awaited: bytes | None = None
        """The digest of the highest block below a final one, or of that itself, whose header is not known."""
        self._late: dict[int, dict[bytes, Block]] = {}
        """By leader."""

    def get(self, digest: bytes) -> Block | None:
        return self._blocks.get(digest)

    def __len__(self) -> int:
        return len(self._blocks)

    def learn(self, block: Block) -> None:
        """Remember a block that a leader has signed, or whose digest a quorum has."""
        if block.header.height > self.delivered.header.height:
            self._blocks.setdefault(block.digest, block)

    def learn_late(self, block: Block, leader: int) -> None:
        """Remember a header that `leader` signed for a view that is over, since it may lie below a final block.

        Nobody may say it again. Whoever signs many displaces its own.
        """
        late = self._late.setdefault(leader, {})
        late[block.digest] = block
        if len(late) > LATE_MAX:
            del late[next(iter(late))]

    def may_link(self) -> bool:
        """Whether the header that is awaited is known by now; one that came late is taken up here."""
        if self.awaited is None:
            return False
        for late in self._late.values():
            if self.awaited in late:
                self.learn(late.pop(self.awaited))
        return self.awaited in self._blocks

    def path(self, block: Block) -> list[Block] | None:
        """The blocks above the delivered one up to `block`; None where a header between is not known."""
        path: list[Block] = []
        while block.digest != self.delivered.digest:
            parent = self._blocks.get(block.header.parent_digest)
            if parent is None or len(path) > FINALS_MAX:
                return None
            path.append(block)
            block = parent
        return path[::-1]

    def checkpoint_at(self, block: Block) -> Block | None:
        """The last checkpoint block up to and with `block`; None where a header between is not known."""
        path = self.path(block)
        if path is None:
            return None
        last = self.checkpoint
        for step in path:
            if self.rule.holds(step.header, last.header):
                last = step
        return last

    def finalize(self, finalization: Certificate) -> None:
        """Mark the finalized block and its ancestors final, as far as they are known; `finalization` is of the highest
        view that there is. Raises: BlockFork.

        A block that is finalized in a later view than the delivered one is that or a descendant of it.
        """
        gap = self._first_gap()
        self.awaited = finalization.digest
        block = self._blocks.get(finalization.digest)
        if block is None and finalization.proposal is not None:
            block = finalization.proposal.block
        if block is not None and block.header.height < self.delivered.header.height:
            raise BlockFork(_fork(self.delivered, block))
        descendants: tuple[Block, ...] = ()
        while block is not None and len(descendants) <= DESCENDANTS_MAX:
            known = self._finals.get(block.header.height)
            self.add_final(Proven(block, finalization, descendants))
            if block.header.height < gap:
                break
            if known is not None:
                finalization, descendants = known.finalization, known.descendants
            descendants = (block, *descendants)
            self.awaited = block.header.parent_digest
            block = self._blocks.get(self.awaited)
        if block is not None:
            self.awaited = None
            self._late.clear()

    def _first_gap(self) -> int:
        """The lowest height above the delivered block whose final block is not known."""
        self._gap = max(self._gap, self.delivered.header.height + 1)
        while self._gap in self._finals:
            self._gap += 1
        return self._gap

    def missing(self, digest: bytes) -> bytes | None:
        """The digest of the highest block that is not known, of those from a final one down to the delivered."""
        block = self._blocks.get(digest)
        while block is not None and block.header.height > self.delivered.header.height + 1:
            digest = block.header.parent_digest
            block = self._blocks.get(digest)
        return digest if block is None else None

    def add_final(self, proven: Proven) -> None:
        """A block whose proof is good. Raises: BlockFork."""
        height = proven.block.header.height
        below = height - self.delivered.header.height
        known = self._finals.get(height)
        if known is not None and known.block.digest != proven.block.digest:
            raise BlockFork(_fork(known.block, proven.block))
        if below == 0 and proven.block.digest != self.delivered.digest:
            raise BlockFork(_fork(self.delivered, proven.block))
        if known is None and 0 < below <= FINALS_MAX:
            self.learn(proven.block)
            self._finals[height] = proven

    def next_final(self) -> Proven | None:
        """The final block right above the delivered one, if it is known. Raises: BlockFork."""
        proven = self._finals.get(self.delivered.header.height + 1)
        if proven is not None and proven.block.header.parent_digest != self.delivered.digest:
            raise BlockFork(_fork(self.delivered, proven.block))
        return proven

    @property
    def finals_waiting(self) -> int:
        """How many final blocks wait for their records or for a block below them."""
        return len(self._finals)

    def top_final(self) -> Block:
        """The highest final block that is known."""
        return self._finals[max(self._finals)].block if self._finals else self.delivered

    def deliver(self) -> Proven:
        """Take the next final block off; it is the delivered one from now on. Others of its height go with `prune`."""
        height = self.delivered.header.height + 1
        proven = self._finals.pop(height)
        if self.rule.holds(proven.block.header, self.checkpoint.header):
            self.checkpoint = proven.block
        self._blocks.pop(self.delivered.digest, None)
        self.delivered = proven.block
        return proven

    def prune(self, view: int, digest: bytes) -> None:
        """Forget blocks of views up to a finalized one that are not final; `digest` is that of the finalized block.

        While headers that link it to the delivered block are missing, which blocks are final is not known.
        """
        if len(self._blocks) <= UNLINKED_MAX and self.missing(digest) is not None:
            return
        final = {proven.block.digest for proven in self._finals.values()} | {self.delivered.digest}
        self._blocks = {
            digest: block for digest, block in self._blocks.items() if block.header.view > view or digest in final
        }


def _fork(one: Block, other: Block) -> str:
    return (
        f"two final blocks contradict each other: height {one.header.height} {one.digest.hex()} and "
        f"height {other.header.height} {other.digest.hex()}"
    )
