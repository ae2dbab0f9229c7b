"""Counting votes: a member counts once for each block that it voted for."""

from typing import Final

from consensus.wire.messages import Certificate, Kind, Vote
from ledger.committee import Committee

VOTES_KEPT_MAX: Final = 2
"""Different votes of one member that are kept per view and kind: two prove the fault, more prove nothing further."""


class Tally:
    """The votes of one kind in one view."""

    def __init__(self, kind: Kind, view: int) -> None:
        self._kind = kind
        self._view = view
        self._by_digest: dict[bytes, dict[int, Vote]] = {}

    def holds(self, vote: Vote) -> bool:
        """Whether this member's vote for this block is here, or there are as many others of it as are kept."""
        if vote.validator in self._by_digest.get(vote.digest, ()):
            return True
        return len(self.of(vote.validator)) >= VOTES_KEPT_MAX

    def add(self, vote: Vote) -> None:
        """Count a verified vote that is not held."""
        self._by_digest.setdefault(vote.digest, {})[vote.validator] = vote

    def of(self, member: int) -> list[Vote]:
        """What one member said; more than one vote is a fault."""
        return [votes[member] for votes in self._by_digest.values() if member in votes]

    def certificate(self, digest: bytes, committee: Committee) -> Certificate | None:
        """The certificate for a block, if there is a quorum."""
        votes = self._by_digest.get(digest, {})
        if not committee.is_quorum(votes):
            return None
        epoch = next(iter(votes.values())).epoch
        signatures = tuple((member, votes[member].signature) for member in sorted(votes))
        return Certificate(self._kind, epoch, self._view, digest, signatures)
