"""The consensus core: Simplex (Chan & Pass, TCC 2023), weighted by power, as ``step(event) -> actions``.

It owns no clock, key, socket, thread or file. Each rule below carries a number; the code that obeys it names it.

Specification
-------------
*On entering view v* (R1): forget the timer of v - 1. The timer of v runs from the moment that something is pending
in v; pending is local (R2): a record in my store beyond the last final heads; a notarized block that is not final; a
checkpoint that is due; or good signatures in v, or later views, from more than a third of the power.

*As the leader of v* (R3): once I hold a parent - the highest notarized block, with a nullification of every view
since - propose a child with what my store holds beyond it, at once; or a checkpoint block that is due; or, when idle_ms
have passed and something is still pending, that block itself again. One proposal a view, none after my nullify.

*On the first proposal of v's leader* (R4), v being my view: vote notarize, at most once a view, if `judge` finds it
good. If it is invalid or contradicted by my records, vote nullify. If it is not yet judgeable, wait for the timer.

*Nullify v* (R5): only while v is my view and only if I have not sent finalize in v: when the timer is out, the leader
signed two proposals, its proposal is bad, or the leader is known to be inactive and something is pending.

*On a notarization of (v, B)* (R6): if I have not sent nullify in v, vote finalize (v, B), once. Enter v + 1 if I am in
v or below.  *On a nullification of v* (R7): enter v + 1 if I am in v or below.

*On a finalization of (v, B)* (R8): B and its ancestors are final. Drop what lies at or below v; enter v + 1 if I am in
v or below. A final block is delivered, in order of height, once my store holds its records.

*On a stall* (R9): something is pending and no view was entered for a while: send my highest finalization, the
certificates above it and my own messages above it again, in pages, with back-off. A vote at or below my last
finalization, when that is no longer fresh, is answered with it, rarely.

*Never* (R10): two notarize votes in a view, two finalize votes in a view, nullify and finalize in a view, two
proposals in a view; any vote at or below the last finalization. A signature of mine that I did not make: stop.

Why two different blocks never become final
-------------------------------------------
Let (v, B) be finalized. More than 2/3 voted finalize there, so none of the honest ones among them ever votes nullify v
(R5, R6), and no nullification of v exists; nor another notarization in v (R4). A proposal that is notarized in a later
view w stands on a parent notarized in some p < w with every view between nullified; hence p >= v. If p = v, the parent
is B. Otherwise, by induction over w, the parent is B or a descendant of it. The proposal is a child of that parent, or
the parent itself again; either way it is B or a descendant.

Deviations from the paper
-------------------------
1. *Re-proposal* instead of the empty block. The paper's leader proposes an empty block when it has nothing to add; ours
   proposes the parent itself again, in a later view. Safe: the induction above covers it, since the only facts used are
   the parent's notarization and the nullifications between. It spares a height and a header, and makes the tip final.
2. *Power* instead of heads: a quorum is ``3 * votes > 2 * total``. Two quorums share more than a third of the power.
3. *Timers start when something is pending*, not on entry: an idle chain is silent. Timers bear on liveness only.
4. *A certificate moves us to v + 1 from any view at or below v.* The paper advances one by one. Entering early cannot
   hurt: in skipped views we have not voted, and R5 forbids to nullify them later.
5. *A finalize vote may follow a late notarization*, after the view was left through its nullification. Safe: R5 and R6
   forbid only the pair nullify and finalize of one signer in one view.
6. *No notarize after nullify* in a view, although it would be safe; one thing less to think about.
7. *Certificates are not broadcast* as long as there is progress: votes are all-to-all. R9 makes up for what is lost.
8. *Heads*: a vote also says that the records are held durably; being behind is a reason to wait, never to diverge.
"""

from dataclasses import dataclass, replace
from typing import assert_never

from consensus import events
from consensus.blocks import BlockReader, Proven
from consensus.chain import Chain, CheckpointRule, Fork
from consensus.compose import Composer
from consensus.events import Action, Event
from consensus.heads import LocalHeads, Outcome
from consensus.inbox import Inbox, Refusal
from consensus.judge import Judge, Judgement
from consensus.leader import SLOTS, leader_table
from consensus.messages import (
    EPOCH,
    NO_DIGEST,
    Block,
    Certificate,
    Kind,
    Message,
    Proposal,
    Statement,
    Verify,
    Vote,
    Wire,
)
from consensus.pace import Pace, Settings
from consensus.resend import Repeater
from consensus.tally import Committee
from consensus.views import Views, ViewState
from ledger.block import FinalBlock
from ledger.genesis import Genesis
from ledger.header import View
from ledger.keys import verify
from ledger.rejection import Rejection


@dataclass(frozen=True, slots=True)
class Restored:
    """What a validator knows when it boots: its last delivered block with its proof, its own signed statements.

    `last` is None at genesis; `delivered` and `checkpoint` are then the block of height 0.
    """

    delivered: Block
    checkpoint: Block
    last: Proven | None = None
    own: tuple[Statement, ...] = ()


class Core:
    """One validator. Feed it events in the order in which they happen; carry out the actions in theirs."""

    def __init__(
        self,
        genesis: Genesis,
        index: int,
        settings: Settings,
        restored: Restored,
        verify_signature: Verify = verify,
    ) -> None:
        powers = [validator.power for validator in genesis.validators]
        finalization = None if restored.last is None else restored.last.finalization
        self._index = index
        self._settings = settings
        self._finalization = finalization
        self._wire = Wire(genesis, verify_signature)
        self._reader = BlockReader(genesis, verify_signature)
        self._committee = Committee(powers)
        self._leaders = leader_table(powers)
        self._chain = Chain(CheckpointRule(genesis), restored.delivered, restored.checkpoint)
        self._views = Views(
            0 if finalization is None else finalization.view,
            genesis.digest if finalization is None else finalization.digest,
        )
        self._heads = LocalHeads(restored.delivered.header.heads)
        self._pace = Pace(settings, self._committee)
        self._inbox = Inbox(self._wire, self._committee, self._leaders, self._views, settings.views_ahead_max)
        self._repeater = Repeater(self._views, settings.resend_messages_max)
        self._judge = Judge(genesis, self._leaders, self._views, self._chain, self._heads, settings.drift_ms)
        self._composer = Composer(genesis, index, self._wire, self._views, self._chain, self._heads, settings.depth_max)
        self._now = 0
        self._lag = 0
        self._view = self._views.final_view + 1
        self._timer: int | None = None
        self._finalized_ms = 0
        self._answered_ms = 0
        self._reread_in: dict[int, int] = {}
        self._actions: list[Action] = []
        self._restore(restored)

    @property
    def view(self) -> int:
        """The current view."""
        return self._view

    @property
    def final_view(self) -> int:
        """The view of the highest finalization that we hold: nothing at or below it is ever signed again."""
        return self._views.final_view

    @property
    def delivered(self) -> Block:
        """The last block given to the store."""
        return self._chain.delivered

    def refusals(self) -> dict[str, int]:
        """How many messages were not taken in, by reason."""
        return {refusal.name.lower(): count for refusal, count in self._inbox.refusals.items()}

    def step(self, event: Event) -> tuple[Action, ...]:
        """What to do about an event. Signed statements come back as `Signed` before any other event."""
        self._now = max(self._now, event.now_ms)
        self._actions = []
        try:
            self._take(event)
            self._deliver()
        except Fork as fork:
            return (events.Stop(str(fork)),)
        self._pace.set_pending(self._is_pending(), self._now)
        self._lead()
        self._vote()
        self._time_out()
        self._set_timer()
        return tuple(self._actions)

    def _take(self, event: Event) -> None:
        match event:
            case events.MessageRead(value=value):
                self._on_record(value)
            case events.BlockRead(value=value):
                self._on_block_record(value)
            case events.Signed(message=message):
                self._accept(message)
            case events.HeadsAdvanced(entries=entries):
                for partition, more in entries.items():
                    self._heads.advance(partition, more)
            case events.LagMeasured(records=records):
                self._lag = records
            case events.Started():
                self._start()
            case events.TimerFired():
                self._timer = None
            case _:
                assert_never(event)

    # --- restoring ---

    def _restore(self, restored: Restored) -> None:
        """Take over what was signed before, so that none of it is contradicted (R10)."""
        if restored.last is not None:
            for block in restored.last.descendants:
                self._chain.learn(block)
            self._chain.finalize(restored.last.finalization)
        for statement in restored.own:
            if statement.view > self._views.final_view:
                own = self._views.at(statement.view).own
                if isinstance(statement, Proposal):
                    own.proposal = statement
                else:
                    own.votes[statement.kind] = statement
                left = isinstance(statement, Vote) and statement.kind is Kind.FINALIZE
                self._view = max(self._view, statement.view + 1 if left else statement.view)

    def _start(self) -> None:
        self._pace.entered(self._now)
        self._finalized_ms = self._now
        for state in list(self._views):
            for statement in list(state.own.statements()):
                if statement.view > self._views.final_view:
                    self._accept(statement)

    # --- taking in ---

    def _on_record(self, value: bytes | None) -> None:
        message = self._inbox.read(value, self._view)
        if isinstance(message, Refusal):
            if message is Refusal.STALE:
                self._answer()
            return
        if isinstance(message, Vote) and message.validator == self._index:
            self._check_own(message)
        self._accept(message)

    def _check_own(self, vote: Vote) -> None:
        """A vote under our key that we do not know of: a second instance, or a journal that was rolled back (R10)."""
        known = self._views.at(vote.view).own.votes.get(vote.kind)
        if known is None or known.digest != vote.digest:
            kind = vote.kind.name.lower()
            self._actions.append(
                events.Stop(f"a {kind} of view {vote.view} bears our key, but our journal does not hold it")
            )

    def _on_block_record(self, value: bytes | None) -> None:
        proven = self._reader.read(value)
        if isinstance(proven, Rejection) or proven.block.header.height <= self._chain.delivered.header.height:
            return
        if not self._reader.is_final(proven):
            return
        for block in (proven.block, *proven.descendants):
            self._chain.learn(block)
        self._chain.add_final(proven)
        self._on_finalization(proven.finalization)

    def _accept(self, message: Message) -> None:
        """Take in an authentic message."""
        match message:
            case Proposal():
                self._on_proposal(message)
            case Vote():
                self._on_vote(message)
            case Certificate(proposal=None):
                self._on_certificate(message)
            case Certificate():
                assert message.proposal is not None
                self._on_proposal(message.proposal)
                self._on_certificate(message)

    def _on_proposal(self, proposal: Proposal) -> None:
        state, leader = self._views.at(proposal.view), self._leader(proposal.view)
        self._pace.saw(leader, proposal.view)
        self._chain.learn(proposal.block)
        state.add_proposal(proposal)
        if state.has_equivocated:
            self._report(state, leader, "proposal", state.proposals[0], state.proposals[1])
        own = state.own.proposal
        if leader == self._index and (own is None or own.block.digest != proposal.block.digest):
            self._actions.append(
                events.Stop(f"a proposal of view {proposal.view} bears our key, but we did not make it")
            )

    def _on_vote(self, vote: Vote) -> None:
        state = self._views.at(vote.view)
        tally = state.tallies[vote.kind]
        if tally.holds(vote):
            return
        self._pace.saw(vote.validator, vote.view)
        tally.add(vote)
        for other in state.conflicts(vote):
            self._report(state, vote.validator, f"{other.kind.name} and {vote.kind.name}", other, vote)
        certificate = tally.certificate(vote.digest, self._committee)
        if certificate is not None:
            self._on_certificate(replace(certificate, proposal=state.proposal_of(vote.digest)))

    def _report(self, state: ViewState, validator: int, what: str, first: Statement, second: Statement) -> None:
        if (validator, what) not in state.evidence:
            state.evidence.add((validator, what))
            self._actions.append(events.Evidence(validator, first, second))

    # --- certificates ---

    def _on_certificate(self, certificate: Certificate) -> None:
        if certificate.view <= self._views.final_view:
            return
        match certificate.kind:
            case Kind.NOTARIZE:
                self._on_notarization(certificate)
            case Kind.NULLIFY:
                self._on_nullification(certificate)
            case Kind.FINALIZE:
                self._on_finalization(certificate)

    def _on_notarization(self, certificate: Certificate) -> None:
        """R6."""
        state = self._views.at(certificate.view)
        if state.notarization is not None:
            return
        self._views.add_notarization(certificate)
        if not state.own.said(Kind.NULLIFY) and not state.own.said(Kind.FINALIZE):
            self._sign_vote(state, Kind.FINALIZE, certificate.digest)
        self._enter(certificate.view + 1)

    def _on_nullification(self, certificate: Certificate) -> None:
        """R7."""
        state = self._views.at(certificate.view)
        if state.nullification is not None:
            return
        state.nullification = certificate
        self._pace.nullified()
        if self._leader(certificate.view) == self._index:
            self._composer.on_own_view(was_nullified=True)
        self._enter(certificate.view + 1)

    def _on_finalization(self, certificate: Certificate) -> None:
        """R8."""
        if certificate.view <= self._views.final_view:
            return
        self._finalization, self._finalized_ms = certificate, self._now
        self._views.finalize(certificate)
        self._chain.finalize(certificate)
        self._chain.prune(certificate.view)
        self._pace.finalized(self._now)
        self._enter(certificate.view + 1)

    def _enter(self, view: int) -> None:
        """R1."""
        if view > self._view:
            self._view = view
            self._pace.entered(self._now)

    def _deliver(self) -> None:
        """Give final blocks to the store, in order, once their records are held (R8)."""
        while (proven := self._chain.next_final()) is not None:
            heads = proven.block.header.heads
            match self._heads.outcome(heads):
                case Outcome.NOT_YET:
                    return
                case Outcome.CONTRADICTED:
                    self._reread(proven.block)
                    return
                case Outcome.CONFIRMED:
                    self._heads.settle(heads)
                    self._finalize(self._chain.deliver())

    def _finalize(self, proven: Proven) -> None:
        block = proven.block
        is_own = block.header.proposer == self._index
        if is_own:
            self._composer.on_own_view(was_nullified=False)
        proof = self._reader.prove(proven.finalization, proven.descendants)
        final = FinalBlock(block.header, block.header_bytes, block.digest, proof)
        self._actions.append(
            events.Finalize(final, proven.finalization.view, is_own, self._chain.checkpoint.header_bytes)
        )

    def _reread(self, block: Block) -> None:
        """Our records contradict a quorum's: read them again, once a view, from the delivered heads."""
        for partition in self._heads.contradicted(block.header.heads):
            if self._reread_in.get(partition) != self._view:
                self._reread_in[partition] = self._view
                self._heads.forget(partition)
                self._actions.append(events.Reread(partition))

    # --- acting in the current view ---

    def _lead(self) -> None:
        """R3."""
        if self._leader(self._view) != self._index:
            return
        own = self._views.at(self._view).own
        found = self._composer.parent(self._view)
        if found is None or own.proposal is not None or own.said(Kind.NULLIFY):
            return
        parent_view, parent = found
        block = self._composer.child(self._view, parent_view, parent, self._now, self._may_advance())
        if block is None:
            idle_until = self._pace.idle_until_ms()
            if idle_until is None or self._now < idle_until or parent.header.height == 0:
                return
            block = parent
        own.proposal = Proposal(View(self._view), block)
        self._actions.append(events.Sign(own.proposal))

    def _vote(self) -> None:
        """R4, and R5 where the proposal is to blame."""
        state = self._views.at(self._view)
        if not state.proposals or state.own.said(Kind.NOTARIZE) or state.own.said(Kind.NULLIFY):
            return
        if state.has_equivocated:
            self._nullify(state)
            return
        proposal = state.proposals[0]
        match self._judge.judge(proposal, self._now, self._may_advance()):
            case Judgement.GOOD:
                self._sign_vote(state, Kind.NOTARIZE, proposal.block.digest)
            case Judgement.INVALID:
                self._nullify(state)
            case Judgement.CONTRADICTED:
                self._nullify(state)
                self._reread(proposal.block)
            case Judgement.NOT_YET:
                pass

    def _time_out(self) -> None:
        """R5 where time or the leader's silence is to blame; R9."""
        deadline = self._pace.deadline_ms()
        if deadline is None:
            return
        state = self._views.at(self._view)
        is_vain = not state.proposals and self._pace.is_inactive(self._leader(self._view), self._view)
        if self._now >= deadline or is_vain:
            self._nullify(state)
        if self._now >= self._pace.resend_at_ms:
            page = self._repeater.page(self._finalization, self._pace.resent(self._now))
            self._actions.extend(map(events.Send, page))

    def _nullify(self, state: ViewState) -> None:
        """R5."""
        if not state.own.said(Kind.NULLIFY) and not state.own.said(Kind.FINALIZE):
            self._sign_vote(state, Kind.NULLIFY, NO_DIGEST)

    def _sign_vote(self, state: ViewState, kind: Kind, digest: bytes) -> None:
        """The only place where votes are made (R10)."""
        assert not state.own.said(kind)
        assert state.view > self._views.final_view
        vote = state.own.votes[kind] = Vote(kind, EPOCH, state.view, digest, self._index)
        self._actions.append(events.Sign(vote))

    def _answer(self) -> None:
        """Somebody speaks of views that are over for us: show why (R9)."""
        wait = self._settings.answer_ms
        fresh_until = max(self._finalized_ms, self._answered_ms) + wait
        if self._finalization is not None and self._now >= fresh_until:
            self._answered_ms = self._now
            self._actions.append(events.Send(self._finalization))

    # --- what is so ---

    def _may_advance(self) -> bool:
        return self._lag <= self._settings.lag_max

    def _is_pending(self) -> bool:
        """R2."""
        top = self._chain.top_final()
        return (
            (self._may_advance() and self._heads.reaches_beyond(top.header.heads))
            or self._views.highest_notarized[1] != self._views.final_digest
            or self._chain.rule.is_due(self._now, top.header.heads, self._chain.checkpoint)
            or self._pace.third_has_reached(self._view)
        )

    def _set_timer(self) -> None:
        """Ask to be woken at the next moment at which time alone changes what we do."""
        at_ms = min((moment for moment in self._moments() if moment > self._now), default=None)
        if at_ms != self._timer:
            self._timer = at_ms
            self._actions.append(events.SetTimer(at_ms))

    def _moments(self) -> list[int]:
        deadline, idle_until = self._pace.deadline_ms(), self._pace.idle_until_ms()
        top = self._chain.top_final()
        moments = [self._pace.resend_at_ms, deadline, idle_until] if deadline and idle_until else []
        if top.header.heads != self._chain.checkpoint.header.heads:
            moments.append(self._chain.checkpoint.header.time_ms + self._chain.rule.time_ms)
        state = self._views.get(self._view)
        if state is not None and state.proposals:
            moments.append(state.proposals[0].block.header.time_ms - self._settings.drift_ms)
        return [moment for moment in moments if moment is not None]

    def _leader(self, view: int) -> int:
        return self._leaders[view % SLOTS]
