"""Whether a proposal deserves our notarize vote: every rule of validity, cheapest first."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum

from consensus.core.chain import Chain
from consensus.core.heads import LocalHeads, Outcome
from consensus.core.views import Views
from consensus.wire.final_blocks import DESCENDANTS_MAX, is_child
from consensus.wire.messages import Block, Proposal
from ledger.committee import Committee
from ledger.genesis import Genesis
from ledger.header import Head, Header, Opening


class Judgement(Enum):
    """GOOD: vote. NOT_YET: wait until the timer. INVALID and CONTRADICTED: nullify the view."""

    GOOD = "good"
    NOT_YET = "not yet"
    INVALID = "invalid"
    CONTRADICTED = "contradicted"


_OF_HEADS = {
    Outcome.CONFIRMED: Judgement.GOOD,
    Outcome.NOT_YET: Judgement.NOT_YET,
    Outcome.CONTRADICTED: Judgement.CONTRADICTED,
}


class Judge:
    """Judges proposals on what we hold; changes nothing."""

    def __init__(
        self,
        genesis: Genesis,
        committee: Committee,
        views: Views,
        chain: Chain,
        heads: LocalHeads,
        is_shown: Callable[[Iterable[Opening]], bool],
        drift_ms: int,
    ) -> None:
        """`is_shown`: whether our own broker shows these openings."""
        self._genesis = genesis
        self._committee = committee
        self._views = views
        self._chain = chain
        self._heads = heads
        self._is_shown = is_shown
        self._drift_ms = drift_ms

    def judge(self, proposal: Proposal, time_ms: int, may_advance: bool) -> Judgement:
        """The judgement on the current view's proposal; `time_ms`: of day; `may_advance`: our executor keeps up."""
        return self._again(proposal) if proposal.is_reproposal else self._child(proposal, time_ms, may_advance)

    def _again(self, proposal: Proposal) -> Judgement:
        """A re-proposal: notarized in an earlier view, every view since then nullified."""
        block, view = proposal.block, proposal.view
        for earlier in range(view - 1, max(block.header.view, self._views.final_view) - 1, -1):
            if self._views.notarized(earlier) == block.digest:
                return _OF_HEADS[self._heads_of(block)]
            if earlier == self._views.final_view:
                return Judgement.INVALID
            if not self._views.is_nullified(earlier):
                break
        return Judgement.NOT_YET

    def _child(self, proposal: Proposal, time_ms: int, may_advance: bool) -> Judgement:
        """A new block on a notarized parent, every view between nullified."""
        block, header = proposal.block, proposal.block.header
        if not self._is_well_formed(header) or header.parent_view < self._views.final_view:
            return Judgement.INVALID
        notarized = self._views.notarized(header.parent_view)
        if notarized is None or not self._views.are_nullified_between(header.parent_view, header.view):
            return Judgement.NOT_YET
        parent = self._chain.get(header.parent_digest)
        if parent is None:
            return Judgement.NOT_YET if notarized == header.parent_digest else Judgement.INVALID
        if notarized != parent.digest or not is_child(block, parent) or header.time_ms <= parent.header.time_ms:
            return Judgement.INVALID
        is_early = header.time_ms > max(time_ms + self._drift_ms, parent.header.time_ms + 1)
        if is_early or header.height > self._chain.top_final().header.height + DESCENDANTS_MAX:
            return Judgement.NOT_YET
        return self._advance(block, parent, may_advance)

    def _is_well_formed(self, header: Header) -> bool:
        return (
            header.protocol_version == self._genesis.protocol_version
            and header.epoch == self._committee.epoch
            and header.proposer == self._committee.leader(header.view)
            and header.parent_view < header.view
            and header.seal is None
        )

    def _advance(self, block: Block, parent: Block, may_advance: bool) -> Judgement:
        """What it adds to its parent: heads that we hold, none going back, within the bounds; or a checkpoint."""
        heads, before = block.header.heads, parent.header.heads
        if heads == before:
            return Judgement.INVALID if block.header.openings else self._checkpoint(block, parent)
        if not _is_step(block.header, before):
            return Judgement.INVALID
        outcomes = (self._heads_of(parent), self._heads_of(block))
        if outcomes != (Outcome.CONFIRMED, Outcome.CONFIRMED):
            return _OF_HEADS[Outcome.CONTRADICTED if Outcome.CONTRADICTED in outcomes else Outcome.NOT_YET]
        if block.header.openings:
            return Judgement.GOOD if self._is_shown(block.header.openings) else Judgement.NOT_YET
        records, size_bytes = self._heads.amount(before, heads)
        limits = self._genesis.limits
        if records > limits.records_max or (size_bytes > limits.bytes_max and records > 1):
            return Judgement.INVALID
        return Judgement.GOOD if may_advance else Judgement.NOT_YET

    def _checkpoint(self, block: Block, parent: Block) -> Judgement:
        """A block that adds no record is valid only as a checkpoint block by time."""
        last = self._chain.checkpoint_at(parent)
        if last is None:
            return Judgement.NOT_YET
        if not self._chain.rule.is_due(block.header.time_ms, block.header.heads, last.header):
            return Judgement.INVALID
        return _OF_HEADS[self._heads_of(block)]

    def _heads_of(self, block: Block) -> Outcome:
        return self._heads.outcome(block.header.heads)


def _is_step(header: Header, before: Sequence[Head]) -> bool:
    """Whether heads may follow `before`: each stays or goes on; or, in a block that does nothing else, opens anew."""
    opened = {opening.partition: opening for opening in header.openings}
    return all(_may_follow(new, old, opened) for new, old in zip(header.heads, before, strict=True))


def _may_follow(new: Head, old: Head, opened: Mapping[int, Opening]) -> bool:
    opening = opened.get(new.partition)
    if opening is not None:
        is_next = opening.incarnation == new.incarnation == old.incarnation + 1
        return is_next and new.end_offset == opening.from_offset and new.chain_digest == old.chain_digest
    if new == old:
        return True
    goes_on = new.incarnation == old.incarnation and new.end_offset > old.end_offset
    return goes_on and not opened and new.chain_digest != old.chain_digest
