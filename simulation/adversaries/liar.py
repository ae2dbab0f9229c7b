"""A leader whose blocks say what is not so: of the log's heads, or of the time."""

from dataclasses import replace

from consensus.wire.messages import Proposal
from ledger.header import Head
from simulation.adversaries.skipper import Knowing


class HeadsLiar(Knowing):
    """Heads that go back, go too far, or carry another digest or incarnation."""

    def outgoing(self, topic: str, value: bytes) -> list[bytes]:
        message = self.wire.decode(value)
        if not isinstance(message, Proposal) or message.is_reproposal:
            return [value]
        header = message.block.header
        place = self.random.randrange(len(header.heads))
        heads = list(header.heads)
        heads[place] = self._lie(message, header.heads[place])
        return [self.proposal(message, replace(header, heads=tuple(heads)))]

    def _lie(self, message: Proposal, head: Head) -> Head:
        parent = self.parent(message)
        grandparent = None if parent is None else self.blocks.get(parent.header.parent_digest)
        lies = [
            replace(head, end_offset=head.end_offset + 5),
            replace(head, chain_digest=self.random.randbytes(32)),
            replace(head, incarnation=1),
        ]
        back = [self.genesis.empty_heads()[head.partition]]
        if grandparent is not None:
            back.append(grandparent.header.heads[head.partition])
        return self.random.choice(lies if self.random.randrange(2) else back)


class TimeLiar(Knowing):
    """Blocks from before their parent, or from far ahead."""

    def outgoing(self, topic: str, value: bytes) -> list[bytes]:
        message = self.wire.decode(value)
        if not isinstance(message, Proposal) or message.is_reproposal:
            return [value]
        header, parent = message.block.header, self.parent(message)
        before = 1 if parent is None else parent.header.time_ms
        times = (before, max(1, before - 60_000), header.time_ms + 3_600_000, header.time_ms + 4_000)
        return [self.proposal(message, replace(header, time_ms=self.random.choice(times)))]


class EmptyBlocks(Knowing):
    """Blocks that order nothing."""

    def outgoing(self, topic: str, value: bytes) -> list[bytes]:
        message = self.wire.decode(value)
        parent = self.parent(message) if isinstance(message, Proposal) else None
        if not isinstance(message, Proposal) or parent is None:
            return [value]
        return [self.proposal(message, replace(message.block.header, heads=parent.header.heads))]
