"""A leader that wants others to look at their logs: whatever it proposes contradicts what everybody holds."""

from dataclasses import replace

from consensus.wire.messages import Proposal
from ledger.header import Head
from simulation.adversaries.skipper import Knowing


class ProbeProvoker(Knowing):
    """In every view that it leads, a block on the right parent, with a wrong digest for every partition."""

    def outgoing(self, topic: str, value: bytes) -> list[bytes]:
        message = self.wire.decode(value)
        parent = self.parent(message) if isinstance(message, Proposal) else None
        if not isinstance(message, Proposal) or parent is None:
            return [value]
        pairs = zip(message.block.header.heads, parent.header.heads, strict=True)
        heads = tuple(self._wrong(new, old) for new, old in pairs)
        return [self.proposal(message, replace(message.block.header, heads=heads, openings=()))]

    def _wrong(self, new: Head, old: Head) -> Head:
        """Above the parent's head, where others hold something else by now."""
        held = [it.offset + 1 for it in self.records(new.partition) if it.offset >= old.end_offset]
        end_offset = self.random.choice(held or [old.end_offset + 1])
        return Head(new.partition, old.incarnation, end_offset, self.random.randbytes(32))
