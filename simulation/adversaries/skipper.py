"""A leader that builds on the wrong block: beside or below the one that everybody else builds on."""

from dataclasses import replace
from random import Random

from consensus.wire.messages import Block, Proposal
from ledger.genesis import Genesis
from simulation.adversaries import Adversary
from simulation.parts.signatures import MemoKey


class Knowing(Adversary):
    """Remembers every block that anybody proposed."""

    def __init__(self, genesis: Genesis, index: int, key: MemoKey, random: Random) -> None:
        super().__init__(genesis, index, key, random)
        self.blocks: dict[bytes, Block] = {}

    def on_record(self, topic: str, value: bytes) -> None:
        message = self.wire.decode(value)
        if isinstance(message, Proposal):
            self.blocks[message.block.digest] = message.block

    def parent(self, message: Proposal) -> Block | None:
        """The parent of a block that it proposes for the first time; None at the bottom, or if it was not heard of."""
        return None if message.is_reproposal else self.blocks.get(message.block.header.parent_digest)


class Skipper(Knowing):
    """Builds on its parent's parent, as if the view between had been nullified."""

    def outgoing(self, topic: str, value: bytes) -> list[bytes]:
        message = self.wire.decode(value)
        parent = self.parent(message) if isinstance(message, Proposal) else None
        if not isinstance(message, Proposal) or parent is None:
            return [value]
        skipped = parent.header
        header = replace(
            message.block.header,
            height=skipped.height,
            parent_view=skipped.parent_view,
            parent_digest=skipped.parent_digest,
        )
        return [self.proposal(message, header)]


class Orphan(Knowing):
    """Names the right view and another block as its parent, or the right block at another height."""

    def outgoing(self, topic: str, value: bytes) -> list[bytes]:
        message = self.wire.decode(value)
        if not isinstance(message, Proposal) or message.is_reproposal:
            return [value]
        header = message.block.header
        others = [digest for digest in self.blocks if digest not in (message.block.digest, header.parent_digest)]
        wrong = [
            replace(header, height=header.height + 1),
            replace(header, parent_digest=self.random.randbytes(32)),
            *(replace(header, parent_digest=digest) for digest in others[-2:]),
        ]
        return [self.proposal(message, self.random.choice(wrong))]


class WrongReproposer(Knowing):
    """Proposes an old block again, whatever is notarized since."""

    def outgoing(self, topic: str, value: bytes) -> list[bytes]:
        message = self.wire.decode(value)
        old = [
            block
            for block in self.blocks.values()
            if isinstance(message, Proposal) and block.header.view < message.view
        ]
        if not isinstance(message, Proposal) or not old:
            return [value]
        return [self.signed(replace(message, block=self.random.choice(old)))]
