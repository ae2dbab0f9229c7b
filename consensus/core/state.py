"""What one validator knows: the parts of the core, wired together, and the questions that span several of them."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from consensus.core.chain import Chain
from consensus.core.heads import LocalHeads
from consensus.core.inbox import Inbox, Refusal
from consensus.core.judge import Judge
from consensus.core.proposer import Proposer
from consensus.core.record_repair import RecordRepair
from consensus.core.resend import Repeater
from consensus.core.timers import ConsensusSettings, Timers
from consensus.core.views import Views
from consensus.wire.final_blocks import BlockReader, Proven
from consensus.wire.messages import Block, Certificate, Kind, Proposal, Statement, Verify, Vote, Wire
from ledger.checkpoint_rule import CheckpointRule
from ledger.committee import Committees
from ledger.genesis import Genesis


@dataclass(frozen=True, slots=True)
class Restored:
    """What a validator knows when it boots: its last delivered block with its proof, its own signed statements, and the
    certificates on which it acted.

    `last` is None at genesis; `delivered` and `checkpoint` are then the block of height 0. `own` and `certificates` are
    complete above `floor`: at or below it nothing is ever signed.
    """

    delivered: Block
    checkpoint: Block
    last: Proven | None = None
    floor: int = 0
    own: tuple[Statement, ...] = ()
    voted: tuple[Proposal, ...] = ()
    """What its notarize votes above the delivered block are for: their records must be kept."""
    certificates: tuple[Certificate, ...] = ()
    """Notarizations and nullifications."""
    finalization: Certificate | None = None
    """The highest that it knows; None: that of `last`."""


class State:
    """Everything that the core decides on; only the core changes it."""

    def __init__(
        self,
        genesis: Genesis,
        committees: Committees,
        index: int,
        settings: ConsensusSettings,
        restored: Restored,
        verify_signature: Verify,
    ) -> None:
        """`index`: which member of the current committee this is."""
        finalization = restored.finalization or (None if restored.last is None else restored.last.finalization)
        self.index = index
        self.settings = settings
        self.finalization: Certificate | None = finalization
        """The highest that we hold, with the proposal it certifies where that is known."""
        self.committee = committees.current
        self.wire = Wire(genesis, committees, verify_signature)
        self.reader = BlockReader(genesis, committees, verify_signature)
        self.chain = Chain(CheckpointRule(genesis), restored.delivered, restored.checkpoint)
        self.views = Views(
            0 if finalization is None else finalization.view,
            genesis.digest if finalization is None else finalization.digest,
        )
        self.heads = LocalHeads(restored.delivered.header.heads)
        self.timers = Timers(settings, self.committee)
        self.inbox = Inbox(
            self.wire,
            self.committee,
            index,
            self.views,
            self.chain,
            self.timers,
            settings.views_ahead_max,
        )
        self.repeater = Repeater(self.views, settings.resend_messages_max)
        self.records = RecordRepair(settings, self.views, self.chain, self.heads)
        self.judge = Judge(
            genesis, self.committee, self.views, self.chain, self.heads, self.records.is_shown, settings.drift_ms
        )
        self.composer = Proposer(
            genesis,
            self.committee,
            index,
            self.wire,
            self.views,
            self.chain,
            self.heads,
            self.records.openings,
            settings.depth_max,
        )
        self.refusals: Counter[Refusal] = self.inbox.refusals
        self.now_ms = 0
        self.ahead_ms = 0
        """How far the time of day is ahead of `now_ms`, which never goes back."""
        self.lag = 0
        self.floor = max(restored.floor, self.views.final_view)
        """Nothing is ever signed at or below it; it never falls."""
        self.view = self.floor + 1
        self._restore(restored)

    @property
    def time_ms(self) -> int:
        """The time of day, by which blocks are made and judged."""
        return self.now_ms + self.ahead_ms

    def leader(self, view: int) -> int:
        return self.committee.leader(view)

    def may_advance(self) -> bool:
        """Whether our executor keeps up, so that we may order more records."""
        return self.lag <= self.settings.lag_max

    def is_pending(self) -> bool:
        """R2."""
        top = self.chain.top_final()
        return (
            (self.may_advance() and self.heads.reaches_beyond(top.header.heads))
            or self.views.highest_notarized[1] != self.views.final_digest
            or bool(self.records.openings(top.header.heads))
            or self._is_checkpoint_due()
            or self.timers.third_has_reached(self.view)
        )

    def is_missing_a_block(self) -> bool:
        """Whether more is final than delivered, and the header to deliver next is not known."""
        chain = self.chain
        return self.views.final_digest != chain.delivered.digest and chain.next_final() is None

    def next_moment(self) -> int | None:
        """The next moment at which time alone changes what we do."""
        return min((moment for moment in self._moments() if moment > self.now_ms), default=None)

    def _is_checkpoint_due(self) -> bool:
        """Whether a checkpoint block is due by time. While final blocks wait for their records it is not our turn."""
        chain = self.chain
        is_level = chain.top_final() is chain.delivered
        return is_level and chain.rule.is_due(self.time_ms, chain.delivered.header.heads, chain.checkpoint.header)

    def _moments(self) -> Iterator[int]:
        if self.timers.pending_since_ms is not None:
            yield from (self.timers.resend_at_ms, self.timers.deadline_ms(), self.timers.idle_until_ms())
        yield from self.records.moments()
        checkpoint = self.chain.checkpoint
        if self.chain.delivered.header.heads != checkpoint.header.heads:
            yield checkpoint.header.time_ms + self.chain.rule.time_ms - self.ahead_ms
        view_state = self.views.get(self.view)
        if view_state is not None and view_state.proposals:
            yield view_state.proposals[0].block.header.time_ms - self.settings.drift_ms - self.ahead_ms

    def settled_view(self) -> int:
        """Up to this view nothing that was said is needed any more: no vote, no certificate and no header."""
        is_level = self.views.final_digest == self.chain.delivered.digest
        return self.views.final_view if is_level else self.chain.delivered.header.view

    def _restore(self, restored: Restored) -> None:
        """Take over what was signed before, so that none of it is contradicted (R10), and what it rests on (R13)."""
        if restored.last is not None:
            for block in restored.last.descendants:
                self.chain.learn(block)
            self.chain.finalize(restored.last.finalization)
        for proposal in restored.voted:
            self._restore_proposal(proposal)
        for certificate in restored.certificates:
            self._restore_certificate(certificate)
        if restored.finalization is not None:
            self._restore_proposal(restored.finalization.proposal)
            self.chain.finalize(restored.finalization)
        for statement in restored.own:
            if statement.view > self.floor:
                self.views.at(statement.view).own.add(statement)
                has_left = isinstance(statement, Vote) and statement.kind is Kind.FINALIZE
                self.view = max(self.view, statement.view + 1 if has_left else statement.view)

    def _restore_proposal(self, proposal: Proposal | None) -> None:
        if proposal is not None:
            self.chain.learn(proposal.block)
            if proposal.view > self.views.final_view:
                self.views.at(proposal.view).add_proposal(proposal)

    def _restore_certificate(self, certificate: Certificate) -> None:
        self._restore_proposal(certificate.proposal)
        if certificate.view > self.views.final_view:
            self.view = max(self.view, certificate.view + 1)
            if certificate.kind is Kind.NOTARIZE:
                self.views.add_notarization(certificate)
            else:
                self.views.at(certificate.view).nullification = certificate
