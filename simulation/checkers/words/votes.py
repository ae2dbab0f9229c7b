"""Votes: who votes for a block may do so (R4), also where it never becomes final: one liar alone makes nothing final.

Judged anew here, on what was said by anybody so far: an upper bound of what the voter can have heard.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from backbone.store import StoredRecord
from consensus.runtime.range_check import leads
from consensus.wire.messages import NO_DIGEST, Block, Certificate, Kind, Message, Proposal, Vote, genesis_block
from ledger.header import Head
from simulation.checkers.checker import Checker, Subject, Violation
from simulation.parts.validator import SimValidator


class Votes(Checker):
    """A child stands on a block that its view of the parent notarized, every view between nullified, and adds what its
    limits allow; what is proposed again was notarized before, every view since nullified."""

    def __init__(self, subject: Subject) -> None:
        super().__init__(subject)
        self._powers: Final = [validator.power for validator in subject.genesis.validators]
        origin = genesis_block(subject.genesis)
        self._blocks: dict[bytes, Block] = {origin.digest: origin}
        self._notarized: dict[int, set[bytes]] = defaultdict(set, {0: {origin.digest}})
        """By view: the blocks that a quorum notarized, or finalized, there."""
        self._nullified: set[int] = set()
        self._voters: dict[tuple[Kind, int, bytes], set[int]] = defaultdict(set)

    def on_history(self, blocks: Sequence[Block], late: int) -> None:
        for block in blocks:
            self._blocks[block.digest] = block
            self._notarized[block.header.view].add(block.digest)

    def on_appended(self, topic: str, value: bytes, message: Message) -> None:
        proposal = message.proposal if isinstance(message, Certificate) else message
        if isinstance(proposal, Proposal):
            self._blocks.setdefault(proposal.block.digest, proposal.block)
        if isinstance(message, Vote):
            self._count(message)
        elif isinstance(message, Certificate):
            for member, signature in message.signatures:
                self._count(Vote(message.kind, message.epoch, message.view, message.digest, member, signature))

    def on_send(self, validator: SimValidator, value: bytes, message: Message) -> None:
        self.on_appended("", value, message)
        if isinstance(message, Vote) and message.kind is Kind.NOTARIZE:
            block = self._blocks.get(message.digest)
            if block is not None:
                what = f"{validator.name} notarizes height {block.header.height} in view {message.view}"
                why = self._why_not(validator, block, message.view)
                if why is not None:
                    raise Violation(f"{what}, {why}")

    def _why_not(self, validator: SimValidator, block: Block, view: int) -> str | None:
        """What is wrong with a vote for it in that view."""
        header = block.header
        if header.view != view:
            return None if self._may_be_again(block, view) else "though no view passed it on to this one"
        if header.parent_digest not in self._notarized[header.parent_view]:
            return f"whose parent no quorum notarized in view {header.parent_view}"
        between = [it for it in range(header.parent_view + 1, view) if it not in self._nullified]
        if between:
            return f"over view {between[0]}, which no quorum nullified"
        parent = self._blocks.get(header.parent_digest)
        return None if parent is None else self._why_no_child(validator, block, parent)

    def _may_be_again(self, block: Block, view: int) -> bool:
        for earlier in range(view - 1, block.header.view - 1, -1):
            if block.digest in self._notarized[earlier]:
                return True
            if earlier not in self._nullified:
                return False
        return False

    def _why_no_child(self, validator: SimValidator, block: Block, parent: Block) -> str | None:
        header, before, limits = block.header, parent.header, self.subject.genesis.limits
        if header.height != before.height + 1 or header.time_ms <= before.time_ms:
            return "of another height, or no later time, than follows its parent"
        if any(_goes_back(new, old) for new, old in zip(header.heads, before.heads, strict=True)):
            return "whose heads go back"
        sizes = [
            len(record.value or b"")
            for new, old in zip(header.heads, before.heads, strict=True)
            for record in _records(validator, old, new)
        ]
        is_large = len(sizes) > 1 and sum(sizes) > limits.bytes_max
        if len(sizes) > limits.records_max or is_large:
            return f"of {len(sizes)} records and {sum(sizes)} bytes"
        return None

    def _count(self, vote: Vote) -> None:
        ballot = (vote.kind, vote.view, NO_DIGEST if vote.kind is Kind.NULLIFY else vote.digest)
        voters = self._voters[ballot]
        is_member = vote.validator < len(self._powers)
        if not is_member or vote.validator in voters or not self.subject.wire.is_authentic(vote):
            return
        voters.add(vote.validator)
        if 3 * sum(self._powers[voter] for voter in voters) > 2 * sum(self._powers):
            if vote.kind is Kind.NULLIFY:
                self._nullified.add(vote.view)
            else:
                self._notarized[vote.view].add(vote.digest)


def _records(validator: SimValidator, old: Head, new: Head) -> Sequence[StoredRecord]:
    """What a head adds to another, as the voter holds it; none where others have taken its place since."""
    records = validator.store.between(old, new)
    return records if leads(old, records, new) else ()


def _goes_back(new: Head, old: Head) -> bool:
    """An opening may begin below the end of the incarnation before."""
    return (new.incarnation, new.end_offset) < (old.incarnation, old.end_offset)
