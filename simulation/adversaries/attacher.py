"""Says certificates that a quorum made, each with its block as if the leader had proposed it: nobody signed that."""

from random import Random
from typing import Any

from consensus.wire.messages import Certificate, Kind, Proposal, Vote
from ledger.committee import Committees
from ledger.genesis import Genesis
from simulation.adversaries import Adversary
from simulation.parts.signatures import MemoKey

SIGNATURE_SIZE = 64
KEPT_MAX = 64
"""Blocks, and votes of one view, that are remembered."""


class Attacher(Adversary):
    """It keeps its own notarize votes to itself, and says them in such certificates only. Who takes one, since its
    signatures are good, holds a proposal that is none, passes it on, and is refused."""

    def __init__(self, genesis: Genesis, index: int, key: MemoKey, random: Random) -> None:
        super().__init__(genesis, index, key, random)
        self._committee = Committees.of(genesis).current
        self._proposals: dict[tuple[int, bytes], Proposal] = {}
        self._votes: dict[tuple[int, bytes], dict[int, Vote]] = {}
        """Notarize votes, by view and block, until a quorum is there."""

    def outgoing(self, topic: str, value: bytes) -> list[bytes]:
        """All but notarize votes, and certificates that tell more than a quorum needs."""
        message = self.wire.decode(value)
        if not isinstance(message, Vote) or message.kind is not Kind.NOTARIZE:
            return [value]
        return self._with(message)

    def on_record(self, topic: str, value: bytes) -> None:
        """Each block is said to be notarized as soon as it is."""
        message = self.wire.decode(value)
        if isinstance(message, Proposal):
            self._proposals[message.view, message.block.digest] = message
            _bound(self._proposals)
        elif isinstance(message, Vote) and message.kind is Kind.NOTARIZE:
            for word in self._with(message):
                self.send(word)

    def _with(self, vote: Vote) -> list[bytes]:
        """The certificate that a vote completes."""
        place = (vote.view, vote.digest)
        votes = self._votes.setdefault(place, {})
        _bound(self._votes)
        was_quorum = self._committee.is_quorum(votes)
        votes[vote.validator] = vote
        proposal = self._proposals.get(place)
        if proposal is None or was_quorum or not self._committee.is_quorum(votes):
            return []
        forged = Proposal(vote.view, proposal.block, self.random.randbytes(SIGNATURE_SIZE))
        signatures = tuple((member, votes[member].signature) for member in sorted(votes))
        return [self.wire.encode(Certificate(Kind.NOTARIZE, vote.epoch, *place, signatures, forged))]


def _bound(kept: dict[tuple[int, bytes], Any]) -> None:
    """Forget the oldest."""
    while len(kept) > KEPT_MAX:
        del kept[next(iter(kept))]
