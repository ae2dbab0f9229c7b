"""A leader whose headers say what they must not, or order more than a block may hold."""

from dataclasses import replace

from backbone.store import StoredRecord
from consensus.wire.messages import Proposal
from ledger.header import Epoch, Head
from simulation.adversaries import Adversary


class Malformed(Adversary):
    """Another protocol version or epoch, another member as proposer, a seal, a parent of its own view or later."""

    def outgoing(self, topic: str, value: bytes) -> list[bytes]:
        message = self.wire.decode(value)
        if not isinstance(message, Proposal) or message.is_reproposal:
            return [value]
        header, random = message.block.header, self.random
        proposer = random.randrange(len(self.genesis.validators))
        wrong = (
            replace(header, protocol_version=header.protocol_version + 1),
            replace(header, epoch=Epoch(header.epoch + 1)),
            replace(header, proposer=proposer),
            replace(header, seal=random.randbytes(random.choice((0, 32)))),
            replace(header, parent_view=random.choice((header.view, header.view + 1, 2**40))),
        )
        return [self.proposal(message, random.choice(wrong))]


class Overfull(Adversary):
    """Blocks of everything that its store holds, whatever the limits of a block are."""

    def outgoing(self, topic: str, value: bytes) -> list[bytes]:
        message = self.wire.decode(value)
        if not isinstance(message, Proposal) or message.is_reproposal or message.block.header.openings:
            return [value]
        header = message.block.header
        heads = tuple(self._longest(head) for head in header.heads)
        return [self.proposal(message, replace(header, heads=heads))]

    def _longest(self, head: Head) -> Head:
        held: list[StoredRecord] = [it for it in self.records(head.partition) if it.incarnation == head.incarnation]
        if not held or held[-1].offset < head.end_offset:
            return head
        return Head(head.partition, head.incarnation, held[-1].offset + 1, held[-1].chain_digest)
