"""Quorums: nobody acts on more power than has spoken. Votes are counted here as they pass, each voter once."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from consensus.wire.messages import NO_DIGEST, Block, Certificate, Kind, Message, Proposal, Vote
from simulation.checkers.checker import Checker, Subject, Violation
from simulation.parts.validator import SimValidator

_Ballot = tuple[Kind, int, bytes]


class Quorums(Checker):
    """A finalize vote follows a quorum of notarize votes; every other word one that ended a view right below, or later.

    What was said may have been lost on its way, so this is an upper bound of what anybody can have heard.
    """

    def __init__(self, subject: Subject) -> None:
        super().__init__(subject)
        self._powers: Final = [validator.power for validator in subject.genesis.validators]
        self._voters: dict[_Ballot, set[int]] = defaultdict(set)
        self._ended = 0
        """The highest view that some quorum has ended."""

    def on_history(self, blocks: Sequence[Block], late: int) -> None:
        self._ended = len(blocks)

    def on_appended(self, topic: str, value: bytes, message: Message) -> None:
        if isinstance(message, Vote):
            self._count(message)
        elif isinstance(message, Certificate):
            for member, signature in message.signatures:
                self._count(Vote(message.kind, message.epoch, message.view, message.digest, member, signature))

    def on_send(self, validator: SimValidator, value: bytes, message: Message) -> None:
        if isinstance(message, Vote):
            self._count(message)
        if isinstance(message, Vote) and message.kind is Kind.FINALIZE:
            if not self._is_quorum((Kind.NOTARIZE, message.view, message.digest)):
                raise Violation(f"{validator.name} finalizes view {message.view}, which no quorum has notarized")
        elif isinstance(message, Proposal | Vote) and message.view > self._ended + 1:
            raise Violation(f"{validator.name} speaks in view {message.view}, and none ended after {self._ended}")

    def _count(self, vote: Vote) -> None:
        ballot = (vote.kind, vote.view, NO_DIGEST if vote.kind is Kind.NULLIFY else vote.digest)
        voters = self._voters[ballot]
        if vote.validator in voters or not self._is_signed(vote):
            return
        voters.add(vote.validator)
        if vote.view > self._ended and self._is_quorum(ballot):
            self._ended = vote.view

    def _is_signed(self, vote: Vote) -> bool:
        return vote.validator < len(self._powers) and self.subject.wire.is_authentic(vote)

    def _is_quorum(self, ballot: _Ballot) -> bool:
        return 3 * sum(self._powers[voter] for voter in self._voters[ballot]) > 2 * sum(self._powers)
