"""The views above the last finalization: votes, certificates, and what we ourselves have said in each."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from consensus.wire.messages import Certificate, Kind, Proposal, Statement, Vote
from consensus.wire.tally import Tally

PROPOSALS_KEPT_MAX: Final = 2
"""Different proposals of a view's leader that are kept: two prove the fault."""


@dataclass(slots=True)
class Own:
    """What we have signed in one view; set before it is signed, so that nothing is ever signed twice."""

    proposal: Proposal | None = None
    votes: dict[Kind, Vote] = field(default_factory=dict)

    def add(self, statement: Statement) -> None:
        """Note a statement; once it is signed, note it again with its signature."""
        if isinstance(statement, Proposal):
            self.proposal = statement
        else:
            self.votes[statement.kind] = statement

    def signed(self) -> list[Statement]:
        """The statements that bear our signature by now."""
        statements: list[Statement | None] = [self.proposal, *self.votes.values()]
        return [statement for statement in statements if statement is not None and statement.signature]

    def has_signed(self, kind: Kind) -> bool:
        return kind in self.votes


class ViewState:
    """One view."""

    __slots__ = ("evidence", "notarization", "nullification", "own", "proposals", "tallies", "view")

    def __init__(self, view: int) -> None:
        self.view = view
        self.proposals: list[Proposal] = []
        self.tallies = {kind: Tally(kind, view) for kind in Kind}
        self.notarization: Certificate | None = None
        self.nullification: Certificate | None = None
        self.own = Own()
        self.evidence: set[tuple[int, str]] = set()

    @property
    def has_equivocated(self) -> bool:
        """Whether its leader signed two proposals."""
        return len(self.proposals) > 1

    def add_proposal(self, proposal: Proposal) -> None:
        """Keep a proposal of this view's leader, unless it is held or enough others are."""
        if self.proposal_of(proposal.block.digest) is None and len(self.proposals) < PROPOSALS_KEPT_MAX:
            self.proposals.append(proposal)
        if self.notarization is not None:
            self.notarization = self.with_proposal(self.notarization)

    def with_proposal(self, certificate: Certificate) -> Certificate:
        """A certificate of this view with its proposal, where that is held: who missed the one gets both."""
        return replace(certificate, proposal=certificate.proposal or self.proposal_of(certificate.digest))

    def conflicts(self, vote: Vote) -> list[Vote]:
        """What its signer said in this view that an honest validator does not say beside `vote`."""
        said = [other for tally in self.tallies.values() for other in tally.of(vote.validator)]
        return [
            other
            for other in said
            if (other.kind is vote.kind and other.digest != vote.digest)
            or {other.kind, vote.kind} == {Kind.NULLIFY, Kind.FINALIZE}
        ]

    def proposal_of(self, digest: bytes) -> Proposal | None:
        """This view's proposal of a block."""
        return next((proposal for proposal in self.proposals if proposal.block.digest == digest), None)


class Views:
    """All views above the last finalization that something is known of; `final_view` is 0 at genesis."""

    def __init__(self, final_view: int, final_digest: bytes) -> None:
        self.final_view = final_view
        self.final_digest = final_digest
        self.highest_notarized: tuple[int, bytes] = (final_view, final_digest)
        self._states: dict[int, ViewState] = {}

    def at(self, view: int) -> ViewState:
        """The state of a view above the last finalization."""
        assert view > self.final_view
        view_state = self._states.get(view)
        if view_state is None:
            view_state = self._states[view] = ViewState(view)
        return view_state

    def get(self, view: int) -> ViewState | None:
        return self._states.get(view)

    def __iter__(self) -> Iterator[ViewState]:
        """By rising view."""
        return (self._states[view] for view in sorted(self._states))

    def __len__(self) -> int:
        return len(self._states)

    def notarized(self, view: int) -> bytes | None:
        """The digest notarized in `view`; that of the last finalization in its view."""
        if view == self.final_view:
            return self.final_digest
        view_state = self._states.get(view)
        notarization = None if view_state is None else view_state.notarization
        return None if notarization is None else notarization.digest

    def is_nullified(self, view: int) -> bool:
        view_state = self._states.get(view)
        return view_state is not None and view_state.nullification is not None

    def entrance(self, view: int) -> Certificate | None:
        """The certificate that lets anybody enter `view`: one of the view before, if it is held and not final."""
        before = self._states.get(view - 1)
        return None if before is None else before.notarization or before.nullification

    def are_nullified_between(self, low: int, high: int) -> bool:
        """Whether we hold a nullification of every view strictly between."""
        return all(self.is_nullified(view) for view in range(low + 1, high))

    def add_notarization(self, certificate: Certificate) -> None:
        view_state = self.at(certificate.view)
        view_state.notarization = view_state.with_proposal(certificate)
        if certificate.view > self.highest_notarized[0]:
            self.highest_notarized = (certificate.view, certificate.digest)

    def finalize(self, certificate: Certificate) -> None:
        """Raise the floor to a finalization and forget the views up to it."""
        self.final_view, self.final_digest = certificate.view, certificate.digest
        if self.highest_notarized[0] <= certificate.view:
            self.highest_notarized = (certificate.view, certificate.digest)
        for view in [view for view in self._states if view <= certificate.view]:
            del self._states[view]
