"""What we say in our own view: a proposal where we lead it, and votes (R3, R4, R5, R9, R10 of `core`)."""

from consensus.core import events
from consensus.core.events import Action
from consensus.core.judge import Judgement
from consensus.core.state import State
from consensus.core.views import ViewState
from consensus.wire.messages import NO_DIGEST, Kind, Proposal, Vote


class Voting:
    """Acts on what the state has become; what it decides is appended to `actions`."""

    def __init__(self, state: State, actions: list[Action]) -> None:
        self._state = state
        self._actions = actions

    def lead(self) -> None:
        """R3."""
        state, view = self._state, self._state.view
        if state.leader(view) != state.index:
            return
        own = state.views.at(view).own
        found = state.composer.parent(view)
        if found is None or own.proposal is not None or own.has_signed(Kind.NULLIFY):
            return
        parent_view, parent = found
        block = state.composer.child(view, parent_view, parent, state.time_ms, state.may_advance())
        if block is None:
            is_waiting = state.timers.pending_since_ms is None or state.now_ms < state.timers.idle_until_ms()
            if is_waiting or parent.header.height == 0:
                return
            block = parent
        own.proposal = Proposal(view, block)
        self._actions.append(events.Sign(own.proposal))

    def vote(self) -> None:
        """R4, and R5 where the proposal is to blame."""
        state, view_state = self._state, self._state.views.at(self._state.view)
        if view_state.has_equivocated:
            self._nullify(view_state)
        own = view_state.own
        if not view_state.proposals or own.has_signed(Kind.NOTARIZE) or own.has_signed(Kind.NULLIFY):
            return
        proposal = view_state.proposals[0]
        match state.judge.judge(proposal, state.time_ms, state.may_advance()):
            case Judgement.GOOD:
                self.sign_vote(view_state, Kind.NOTARIZE, proposal.block.digest, proposal)
            case Judgement.INVALID:
                self._nullify(view_state)
            case Judgement.CONTRADICTED:
                probes = state.records.contradicted(proposal.block, state.view, state.now_ms)
                self._actions += probes or ()
                if probes is None:
                    self._nullify(view_state)
            case Judgement.NOT_YET:
                self._actions += state.records.unseen(proposal.block.header.openings, state.now_ms)

    def time_out(self) -> None:
        """R5 where time or the leader's silence is to blame; R9."""
        state, now_ms, timers = self._state, self._state.now_ms, self._state.timers
        if timers.pending_since_ms is None:
            return
        view_state = state.views.at(state.view)
        has_proposal = bool(view_state.proposals) or view_state.own.proposal is not None
        is_vain = not has_proposal and timers.is_inactive(state.leader(state.view), state.view)
        if now_ms >= timers.deadline_ms() or is_vain:
            self._nullify(view_state)
        if now_ms >= timers.resend_at_ms and len(state.committee) > 1:
            page = state.repeater.page(state.finalization, timers.resent(now_ms))
            self._actions.extend(map(events.Send, page))

    def _nullify(self, view_state: ViewState) -> None:
        """R5."""
        if not view_state.own.has_signed(Kind.FINALIZE):
            self.sign_vote(view_state, Kind.NULLIFY, NO_DIGEST)

    def sign_vote(self, view_state: ViewState, kind: Kind, digest: bytes, voted: Proposal | None = None) -> None:
        """The only place where votes are made: each kind once a view, nothing at or below the floor (R10)."""
        state, view = self._state, view_state.view
        if view_state.own.has_signed(kind) or view <= state.floor:
            return
        vote = Vote(kind, state.committee.epoch, view, digest, state.index)
        view_state.own.add(vote)
        self._actions.append(events.Sign(vote, voted))
