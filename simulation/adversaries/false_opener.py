"""A leader that opens a partition's next incarnation although the log was never cut."""

from dataclasses import replace

from consensus.wire.messages import Proposal
from ledger.header import Head, Header, Opening
from simulation.adversaries.skipper import Knowing


class FalseOpener(Knowing):
    """In half of its proposals: on its parent, in the same topic or one that there never was, from an offset at, below
    or behind the last head; or beside records, which no block may hold that opens."""

    def outgoing(self, topic: str, value: bytes) -> list[bytes]:
        message = self.wire.decode(value)
        parent = self.parent(message) if isinstance(message, Proposal) else None
        if not isinstance(message, Proposal) or parent is None or self.random.randrange(2):
            return [value]
        return [self.proposal(message, self._opened(message.block.header, parent.header))]

    def _opened(self, header: Header, parent: Header) -> Header:
        place = self.random.randrange(len(parent.heads))
        before = parent.heads[place]
        from_offset = self.random.choice((before.end_offset, max(0, before.end_offset - 1), before.end_offset + 3, 0))
        topic_id = self.random.choice((self.genesis.topic_id, self.genesis.topic_id, "topic-of-nobody"))
        if header.openings:
            return self._elsewhere(header)
        opening = Opening(place, before.incarnation + 1, topic_id, from_offset)
        head = Head(place, opening.incarnation, from_offset, before.chain_digest)
        heads = list(self.random.choice((parent.heads, parent.heads, header.heads)))
        heads[place] = head
        return replace(header, heads=tuple(heads), openings=(opening,))

    def _elsewhere(self, header: Header) -> Header:
        """Where the log was cut in earnest: from another offset on."""
        first, *others = header.openings
        opening = replace(first, from_offset=max(0, first.from_offset + self.random.choice((-3, 2, 5))))
        heads = [
            replace(head, end_offset=opening.from_offset) if head.partition == opening.partition else head
            for head in header.heads
        ]
        return replace(header, heads=tuple(heads), openings=(opening, *others))
