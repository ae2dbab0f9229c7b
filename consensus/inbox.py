"""From a record's bytes to a message that the core may believe: cheapest test first, every refusal counted."""

from collections import Counter
from enum import Enum

from consensus.messages import Certificate, Kind, Message, Proposal, Vote, Wire
from consensus.tally import Committee
from consensus.views import PROPOSALS_KEPT_MAX, Views
from ledger.rejection import Rejection


class Refusal(Enum):
    """Why a message was not taken in. Only the last two speak against anybody."""

    STALE = "at or below the last finalization"
    AHEAD = "too many views ahead"
    KNOWN = "held already"
    MALFORMED = "malformed"
    FORGED = "no quorum, or a bad signature"


class Inbox:
    """Takes in what was read from the consensus topics."""

    def __init__(
        self, wire: Wire, committee: Committee, leaders: tuple[int, ...], views: Views, views_ahead_max: int
    ) -> None:
        self._wire = wire
        self._committee = committee
        self._leaders = leaders
        self._views = views
        self._views_ahead_max = views_ahead_max
        self.refusals: Counter[Refusal] = Counter()

    def read(self, value: bytes | None, view: int) -> Message | Refusal:
        """The message of a record's value, format, place and signatures checked; `view` is our own view."""
        message = self._wire.decode(value)
        refusal = Refusal.MALFORMED if isinstance(message, Rejection) else self._weigh(message, view)
        if refusal is not None:
            self.refusals[refusal] += 1
            return refusal
        assert not isinstance(message, Rejection)
        return message

    def _weigh(self, message: Message, view: int) -> Refusal | None:
        if message.view <= self._views.final_view:
            return Refusal.STALE
        if not isinstance(message, Certificate) and message.view > view + self._views_ahead_max:
            return Refusal.AHEAD
        if self._is_known(message):
            return Refusal.KNOWN
        if isinstance(message, Certificate) and not self._committee.is_quorum(m for m, _ in message.signatures):
            return Refusal.FORGED
        return None if self._wire.is_authentic(message, self._leader) else Refusal.FORGED

    def _is_known(self, message: Message) -> bool:
        state = self._views.get(message.view)
        if state is None:
            return False
        match message:
            case Vote(kind=kind):
                return state.tallies[kind].holds(message)
            case Proposal(block=block):
                return len(state.proposals) >= PROPOSALS_KEPT_MAX or state.proposal_of(block.digest) is not None
            case Certificate(kind=Kind.NOTARIZE, digest=digest, proposal=proposal):
                held = state.notarization is not None
                return held and (proposal is None or state.proposal_of(digest) is not None)
            case Certificate(kind=Kind.NULLIFY):
                return state.nullification is not None
            case Certificate():
                return False

    def _leader(self, view: int) -> int:
        return self._leaders[view % len(self._leaders)]
