"""The consensus core: Simplex (Chan & Pass, TCC 2023), weighted by power, as ``step(event) -> actions``.

It owns no clock, key, socket, thread or file. Each rule below carries a number; the code that obeys it names it.

Specification
-------------
*On entering view v* (R1): forget the timer of v - 1. The timer of v runs from the moment that something is pending
in v; pending is local (R2): a record in my store beyond the last final heads; a notarized block that is not final; a
checkpoint that is due; an opening (R12); or good signatures in v, or later views, from more than a third of the power.

*As the leader of v* (R3): once I hold a parent - the highest notarized block, with a nullification of every view
since - propose a child with what my store holds beyond it, at once; or an opening, or a checkpoint block that is due;
or, when idle_ms have passed and something is still pending, that block itself again. One a view, none after my nullify.

*On the first proposal of v's leader* (R4), v being my view: vote notarize, at most once a view, if `judge` finds it
good. If it is invalid, vote nullify; also if my records contradict it, even after they were read again (R11). If it is
not yet judgeable, wait for the timer.

*Nullify v* (R5): only while v is my view and only if I have not sent finalize in v: when the timer is out, the leader
signed two proposals, its proposal is bad, or the leader is known to be inactive and something is pending.

*On a notarization of (v, B)* (R6): if I have not sent nullify in v, vote finalize (v, B), once. Enter v + 1 if I am in
v or below.  *On a nullification of v* (R7): enter v + 1 if I am in v or below.

*On a finalization of (v, B)* (R8): B and its ancestors are final. Drop what lies at or below v; enter v + 1 if I am in
v or below. A final block is delivered, in order of height, once my store holds its records. While a header between is
missing, one of a view that is over is taken too: in whatever order things come, none must come twice.

*On a stall* (R9): something is pending and no view was entered for a while: send my highest finalization, the
certificates above it and my own messages above it again, in pages, with back-off. A vote at or below my last
finalization, when that is no longer fresh, is answered with it, rarely. One said again by a voter that I never saw in
my view is answered with the certificate that opens my view: I may have nothing pending and be silent while it waits.

*Records* (R11): where my store contradicts the next final block, or where all are delivered the highest notarized one,
I have the records above the last delivered heads replaced by those of whoever holds them, or else by what the log shows
now; where they only fail to come, I ask others for them. Where it contradicts a proposal, and after a nullified view of
my own, I look whether the log still shows what I hold, ever more rarely while it does; what it does not show is read
again, above the highest notarized heads that I hold. Compared first, dropped then: what is the same stays. Records
under a head that I voted for are set aside, never dropped.

*Openings* (R12): where my own broker shows that a partition was truncated below its last final head, or recreated, a
block may open its next incarnation, and does nothing else. I vote for an opening only if my broker shows the same.

*Certificates* (R13): the journal keeps each notarization and nullification above the last finalization that I took, and
that finalization, before anything is sent that I sign after it; and beside my notarize vote its proposal, until a block
of its view or a later one is delivered. Votes of those who are gone are said by nobody again, and topics may be lost:
without them a view that some have finalized and others nullified could be neither notarized nor nullified once more.

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

from typing import assert_never

from consensus.core import events
from consensus.core.chain import BlockFork
from consensus.core.events import Action, Event
from consensus.core.heads import Outcome
from consensus.core.inbox import Refusal
from consensus.core.state import Restored, State
from consensus.core.timers import ConsensusSettings
from consensus.core.views import ViewState
from consensus.core.voting import Voting
from consensus.wire.final_blocks import Proven
from consensus.wire.messages import Block, Certificate, Kind, Message, Proposal, Statement, Verify, Vote
from ledger.block import FinalBlock
from ledger.committee import Committees
from ledger.genesis import Genesis
from ledger.keys import verify
from ledger.rejection import Rejection


class Core:
    """One validator. Feed it events in the order in which they happen; carry out the actions in theirs."""

    def __init__(
        self,
        genesis: Genesis,
        committees: Committees,
        index: int,
        settings: ConsensusSettings,
        restored: Restored,
        verify_signature: Verify = verify,
    ) -> None:
        """`index`: which member of the current committee this is."""
        self.state = State(genesis, committees, index, settings, restored, verify_signature)
        """For reading only, outside of here."""
        self._actions: list[Action] = []
        self._voting = Voting(self.state, self._actions)
        self._timer: int | None = None
        self._finalized_ms = 0
        self._answered_ms: dict[Refusal, int] = {}

    def step(self, event: Event) -> tuple[Action, ...]:
        """What to do about an event. Signed statements come back as `Signed` before any other event."""
        self.state.now_ms = max(self.state.now_ms, event.now_ms)
        self._actions.clear()
        try:
            self._take(event)
            while self.state.chain.may_link():
                self._link_final()
            self._deliver()
        except BlockFork as fork:
            return (events.Stop(str(fork), is_fork=True),)
        self._actions += self.state.records.wanted(self.state.now_ms)
        self.state.timers.set_pending(self.state.is_pending(), self.state.now_ms)
        self._voting.lead()
        self._voting.vote()
        self._voting.time_out()
        self._set_timer()
        return tuple(self._actions)

    def _take(self, event: Event) -> None:
        match event:
            case events.MessageRead(value=value):
                self._on_record(value)
            case events.BlockRead(value=value):
                self._on_block_record(value)
            case events.Signed(message=message):
                self._on_signed(message)
            case events.HeadsAdvanced(entries=entries):
                for partition, more in entries.items():
                    self.state.heads.advance(partition, more)
            case events.LogShown(now_ms, partition, incarnation, opening, diverged_at):
                self.state.records.on_shown(partition, incarnation, opening, diverged_at, now_ms)
                self._actions += self.state.records.diverged(partition, incarnation, diverged_at, now_ms)
            case events.RecordsDiffer(partition=partition, incarnation=incarnation):
                self.state.records.differ(partition, incarnation)
            case events.LagMeasured(records=records):
                self.state.lag = records
            case events.ClockSet(ahead_ms=ahead_ms):
                self.state.ahead_ms = ahead_ms
            case events.Started():
                self._on_start()
            case events.TimerFired():
                self._timer = None
            case _:
                assert_never(event)

    # --- taking in ---

    def _on_start(self) -> None:
        """What was signed before the start counts from now on."""
        self.state.timers.entered(self.state.now_ms)
        self._finalized_ms = self.state.now_ms
        for view_state in list(self.state.views):
            for statement in view_state.own.signed():
                if statement.view > self.state.views.final_view:
                    self._accept(statement)

    def _on_signed(self, statement: Statement) -> None:
        if statement.view > self.state.views.final_view:
            self.state.views.at(statement.view).own.add(statement)
            self._accept(statement)

    def _on_record(self, value: bytes | None) -> None:
        message = self.state.inbox.read(value, self.state.view)
        match message:
            case Refusal():
                if message is Refusal.STALE:
                    self._answer(message, self.state.finalization, self._finalized_ms)
                elif message is Refusal.BEHIND:
                    self._answer(message, self.state.views.entrance(self.state.view), self.state.timers.entered_ms)
            case Block():
                self.state.chain.learn(message)
            case _:
                self._check_own(message)
                self._accept(message)

    def _check_own(self, message: Message) -> None:
        """A statement under our key that we do not know of: a second instance, or a journal rolled back (R10)."""
        proposal = message.proposal if isinstance(message, Certificate) else message
        own = self.state.views.at(message.view).own
        if isinstance(message, Vote) and message.validator == self.state.index:
            known = own.votes.get(message.kind)
            is_ours = known is not None and known.digest == message.digest
        elif isinstance(proposal, Proposal) and self.state.leader(message.view) == self.state.index:
            is_ours = own.proposal is not None and own.proposal.block.digest == proposal.block.digest
        else:
            return
        if not is_ours and message.view > self.state.floor:
            self._actions.append(events.Stop(f"a message of view {message.view} bears our key, but we did not sign it"))

    def _on_block_record(self, value: bytes | None) -> None:
        state = self.state
        proven = state.reader.read(value)
        if isinstance(proven, Rejection) or proven.block.header.height <= state.chain.delivered.header.height:
            return
        if not state.reader.is_final(proven):
            return
        for block in (proven.block, *proven.descendants):
            state.chain.learn(block)
        state.chain.add_final(proven)
        self._on_finalization(proven.finalization)

    def _accept(self, message: Message) -> None:
        """Take in an authentic message."""
        match message:
            case Proposal():
                self._on_proposal(message)
            case Vote():
                self._on_vote(message)
            case Certificate(proposal=proposal):
                if proposal is not None:
                    self._on_proposal(proposal)
                self._on_certificate(message)

    def _on_proposal(self, proposal: Proposal) -> None:
        view_state, leader = self.state.views.at(proposal.view), self.state.leader(proposal.view)
        self.state.timers.record_activity(leader, proposal.view)
        self.state.chain.learn(proposal.block)
        view_state.add_proposal(proposal)
        if view_state.has_equivocated:
            self._report(view_state, leader, "proposals", view_state.proposals[0], view_state.proposals[1])

    def _on_vote(self, vote: Vote) -> None:
        view_state = self.state.views.at(vote.view)
        tally = view_state.tallies[vote.kind]
        if tally.holds(vote):
            return
        self.state.timers.record_activity(vote.validator, vote.view)
        tally.add(vote)
        for other in view_state.conflicts(vote):
            self._report(view_state, vote.validator, f"{other.kind.name} and {vote.kind.name}", other, vote)
        certificate = tally.certificate(vote.digest, self.state.committee)
        if certificate is not None:
            self._on_certificate(view_state.with_proposal(certificate))

    def _report(self, view_state: ViewState, validator: int, what: str, first: Statement, second: Statement) -> None:
        if (validator, what) not in view_state.evidence:
            view_state.evidence.add((validator, what))
            self._actions.append(events.Evidence(validator, first, second))

    # --- certificates ---

    def _on_certificate(self, certificate: Certificate) -> None:
        if certificate.view <= self.state.views.final_view:
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
        view_state = self.state.views.at(certificate.view)
        if view_state.notarization is not None:
            return
        self.state.views.add_notarization(certificate)
        self._keep(view_state.notarization or certificate)
        if not view_state.own.has_signed(Kind.NULLIFY):
            self._voting.sign_vote(view_state, Kind.FINALIZE, certificate.digest)
        self._enter(certificate.view + 1)

    def _on_nullification(self, certificate: Certificate) -> None:
        """R7."""
        view_state = self.state.views.at(certificate.view)
        if view_state.nullification is not None:
            return
        view_state.nullification = certificate
        self._keep(certificate)
        self.state.timers.nullified()
        if self.state.leader(certificate.view) == self.state.index:
            self.state.composer.on_own_view(was_nullified=True)
            self._actions += self.state.records.doubt(self.state.now_ms)
        self._enter(certificate.view + 1)

    def _on_finalization(self, certificate: Certificate) -> None:
        """R8."""
        if certificate.view <= self.state.views.final_view:
            return
        certificate = self.state.views.at(certificate.view).with_proposal(certificate)
        self.state.finalization, self._finalized_ms = certificate, self.state.now_ms
        self._keep(certificate)
        self.state.views.finalize(certificate)
        self.state.floor = max(self.state.floor, certificate.view)
        self._link_final()
        self.state.chain.prune(certificate.view, certificate.digest)
        self.state.timers.finalized(self.state.now_ms)
        self._enter(certificate.view + 1)

    def _keep(self, certificate: Certificate) -> None:
        """R13: what we sign from here on rests on it."""
        self._actions.append(events.Keep(certificate))

    def _link_final(self) -> None:
        """The last finalization makes its block and all known ancestors final."""
        if self.state.finalization is not None:
            self.state.chain.finalize(self.state.finalization)

    def _enter(self, view: int) -> None:
        """R1."""
        if view > self.state.view:
            self.state.view = view
            self.state.timers.entered(self.state.now_ms)

    def _deliver(self) -> None:
        """Give final blocks to the store, in order, once their records are held (R8)."""
        chain, heads = self.state.chain, self.state.heads
        while (proven := chain.next_final()) is not None:
            if heads.outcome(proven.block.header.heads) is not Outcome.CONFIRMED:
                return
            heads.settle(proven.block.header.heads)
            self._give(chain.deliver())

    def _give(self, proven: Proven) -> None:
        block = proven.block
        is_own = block.header.proposer == self.state.index
        if is_own:
            self.state.composer.on_own_view(was_nullified=False)
        proof = self.state.reader.prove(proven.finalization, proven.descendants)
        final = FinalBlock(block.header, block.header_bytes, block.digest, proof)
        checkpoint = self.state.chain.checkpoint.header_bytes
        self._actions.append(events.Finalize(final, self.state.settled_view(), is_own, checkpoint))

    # --- acting ---

    def _answer(self, refusal: Refusal, certificate: Certificate | None, since_ms: int) -> None:
        """Somebody speaks of what has been over for us since `since_ms`: show why (R9)."""
        fresh_until = max(since_ms, self._answered_ms.get(refusal, 0)) + self.state.settings.answer_ms
        if certificate is not None and self.state.now_ms >= fresh_until and len(self.state.committee) > 1:
            self._answered_ms[refusal] = self.state.now_ms
            self._actions.append(events.Send(certificate))

    def _set_timer(self) -> None:
        """Ask to be woken at the next moment at which time alone changes what we do."""
        at_ms = self.state.next_moment()
        if at_ms != self._timer:
            self._timer = at_ms
            self._actions.append(events.SetTimer(at_ms))
