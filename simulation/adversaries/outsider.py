"""A validator that speaks for validators that do not exist, and of views and powers that there are not."""

from dataclasses import replace

from consensus.wire.messages import VIEW_MAX, Certificate, Proposal, Vote
from simulation.adversaries import Adversary


class Outsider(Adversary):
    """Beside each vote: votes of indices beyond the committee, of view 0, a certificate of strangers, one in disorder.
    Its proposals name a proposer beyond the committee.
    """

    def outgoing(self, topic: str, value: bytes) -> list[bytes]:
        message, members = self.wire.decode(value), len(self.genesis.validators)
        if isinstance(message, Proposal) and not message.is_reproposal and self.random.randrange(2):
            proposer = self.random.choice((members, members + 1, 2**31 - 1))
            return [self.proposal(message, replace(message.block.header, proposer=proposer))]
        if not isinstance(message, Vote):
            return [value]
        votes = [replace(message, validator=member) for member in (members, members + 7, 2**31 - 1)]
        votes += [replace(message, view=view) for view in (0, VIEW_MAX)]
        return [value, *map(self.signed, votes), *map(self.wire.encode, self._certificates(message, members))]

    def _certificates(self, vote: Vote, members: int) -> list[Certificate]:
        strangers = tuple((member, vote.signature) for member in range(members, 3 * members))
        backwards = tuple((member, vote.signature) for member in reversed(range(members)))
        return [
            Certificate(vote.kind, vote.epoch, vote.view, vote.digest, signers) for signers in (strangers, backwards)
        ]
