"""From a record's bytes to a message that the core may believe: cheapest test first, every refusal counted."""

from collections import Counter
from enum import Enum

from consensus.core.chain import Chain
from consensus.core.timers import Timers
from consensus.core.views import PROPOSALS_KEPT_MAX, Views
from consensus.wire.messages import Block, Certificate, Kind, Message, Proposal, Vote, Wire
from ledger.committee import Committee
from ledger.rejection import Rejection


class Refusal(Enum):
    """Why a message was not taken in. Only the last two speak against anybody."""

    STALE = "at or below the last finalization"
    AHEAD = "too many views ahead"
    KNOWN = "held already"
    BEHIND = "held already, of a voter that was not seen in our view"
    MALFORMED = "malformed"
    FORGED = "no quorum, or a bad signature"


class Inbox:
    """Takes in what was read from the consensus topics."""

    def __init__(
        self,
        wire: Wire,
        committee: Committee,
        index: int,
        views: Views,
        chain: Chain,
        timers: Timers,
        views_ahead_max: int,
    ) -> None:
        self._wire = wire
        self._committee = committee
        self._index = index
        self._views = views
        self._chain = chain
        self._timers = timers
        self._views_ahead_max = views_ahead_max
        self.refusals: Counter[Refusal] = Counter()
        self.taken: int | None = None
        """The view of the message that `read` returned last; None where it was refused."""

    def read(self, value: bytes | None, view: int) -> Message | Block | Refusal:
        """The message of a record's value, format, place and signatures checked; `view` is our own view.

        Of a late one, the block that is final and that we lack: its digest says that it is the one.
        """
        self.taken = None
        message = self._wire.decode(value)
        if isinstance(message, Rejection) or message.epoch != self._committee.epoch:
            return self._refuse(Refusal.MALFORMED)
        if message.view <= self._views.final_view:
            return self._missing_block(message) or self._refuse(self._stale(message))
        refusal = self._weigh(message, view)
        if refusal is not None:
            return self._refuse(refusal)
        self.taken = message.view
        return message

    def _refuse(self, refusal: Refusal) -> Refusal:
        self.refusals[refusal] += 1
        return refusal

    def _stale(self, message: Message) -> Refusal:
        """STALE calls for an answer; our own words and the finalization that we hold do not.

        A late vote tells that its voter is alive. Its signature is not worth a check: of a forged one the worst is
        that we wait for a timer.
        """
        match message:
            case Vote(validator=validator, view=view):
                is_own = validator == self._index
                self._timers.record_activity(validator, view)
            case Proposal(view=view):
                is_own = self._committee.leader(view) == self._index
            case Certificate(kind=kind, view=view):
                is_own = kind is Kind.FINALIZE and view == self._views.final_view
        return Refusal.KNOWN if is_own else Refusal.STALE

    def _missing_block(self, message: Message) -> Block | None:
        """The block that is awaited; another one of its leader's that comes late meanwhile is kept, it may be next."""
        proposal = message.proposal if isinstance(message, Certificate) else message
        chain = self._chain
        if not isinstance(proposal, Proposal) or chain.awaited is None:
            return None
        if proposal.block.digest == chain.awaited:
            return proposal.block
        is_above = proposal.block.header.height > chain.delivered.header.height
        if is_above and chain.get(proposal.block.digest) is None and self._wire.is_authentic(proposal):
            chain.learn_late(proposal.block, self._committee.leader(proposal.view))
        return None

    def _weigh(self, message: Message, view: int) -> Refusal | None:
        if not isinstance(message, Certificate) and message.view > view + self._views_ahead_max:
            return Refusal.AHEAD
        if self._is_known(message):
            return self._known(message, view)
        if isinstance(message, Certificate) and not self._committee.is_quorum(m for m, _ in message.signatures):
            return Refusal.FORGED
        return None if self._wire.is_authentic(message) else Refusal.FORGED

    def _known(self, message: Message, view: int) -> Refusal:
        """BEHIND calls for an answer: who says a vote of an earlier view again may not know how that view ended."""
        if not isinstance(message, Vote) or message.view >= view or message.validator == self._index:
            return Refusal.KNOWN
        return Refusal.KNOWN if self._timers.has_reached(message.validator, view) else Refusal.BEHIND

    def _is_known(self, message: Message) -> bool:
        view_state = self._views.get(message.view)
        if view_state is None:
            return False
        match message:
            case Vote(kind=kind):
                return view_state.tallies[kind].holds(message)
            case Proposal(block=block):
                is_full = len(view_state.proposals) >= PROPOSALS_KEPT_MAX
                return is_full or view_state.proposal_of(block.digest) is not None
            case Certificate(kind=Kind.NOTARIZE, digest=digest, proposal=proposal):
                held = view_state.notarization is not None
                return held and (proposal is None or view_state.proposal_of(digest) is not None)
            case Certificate(kind=Kind.NULLIFY):
                return view_state.nullification is not None
            case Certificate():
                return False
