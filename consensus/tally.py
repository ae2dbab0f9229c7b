"""Counting votes by power. All arithmetic is on integers; a member counts once for each block it voted for."""

from collections.abc import Iterable, Sequence
from typing import Final

from consensus.messages import Certificate, Kind, Vote
from ledger.header import View

VOTES_KEPT_MAX: Final = 2
"""Different votes of one member that are kept per view and kind: two prove the fault, more prove nothing further."""


class Committee:
    """The validators of an epoch, by index, and their power."""

    def __init__(self, powers: Sequence[int]) -> None:
        self._powers = tuple(powers)
        self.total: Final = sum(powers)

    def __len__(self) -> int:
        return len(self._powers)

    def power(self, members: Iterable[int]) -> int:
        """The power of distinct members."""
        return sum(self._powers[member] for member in members)

    def is_quorum(self, members: Iterable[int]) -> bool:
        """More than two thirds: any two quorums share an honest member."""
        return 3 * self.power(members) > 2 * self.total

    def has_honest(self, members: Iterable[int]) -> bool:
        """More than one third: at least one of them is honest."""
        return 3 * self.power(members) > self.total


class Tally:
    """The votes of one kind in one view."""

    def __init__(self, kind: Kind, view: View) -> None:
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

    def members(self) -> set[int]:
        """Who voted at all."""
        return {member for votes in self._by_digest.values() for member in votes}

    def certificate(self, digest: bytes, committee: Committee) -> Certificate | None:
        """The certificate for a block, if there is a quorum."""
        votes = self._by_digest.get(digest, {})
        if not committee.is_quorum(votes):
            return None
        epoch = next(iter(votes.values())).epoch
        signatures = tuple((member, votes[member].signature) for member in sorted(votes))
        return Certificate(self._kind, epoch, self._view, digest, signatures)
