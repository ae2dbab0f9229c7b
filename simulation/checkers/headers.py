"""Headers: a block says of itself what it is, and no validator votes for one from a time that has not come."""

from typing import Final

from consensus.wire.messages import Kind, Message, Proposal, Vote
from simulation.checkers.checker import Checker, Stored, Subject, Violation
from simulation.checkers.leaders import leader
from simulation.parts.validator import SimValidator

DRIFT_MS_MAX: Final = 5_000
"""How far ahead of a voter's own clock a block may be (docs/protocol.md)."""
EPOCH: Final = 0
"""The only one that a world lives in."""


class Headers(Checker):
    """Protocol version, epoch and proposer of final blocks; the time of every block at the first vote for it."""

    def __init__(self, subject: Subject) -> None:
        super().__init__(subject)
        self._powers = [validator.power for validator in subject.genesis.validators]
        self._first: dict[bytes, Proposal] = {}
        """By digest of the block: its proposal in the view that it was made for."""

    def on_appended(self, topic: str, value: bytes, message: Message) -> None:
        if isinstance(message, Proposal) and not message.is_reproposal:
            self._first.setdefault(message.block.digest, message)

    def on_send(self, validator: SimValidator, value: bytes, message: Message) -> None:
        self.on_appended("", value, message)
        if not isinstance(message, Vote) or message.kind is not Kind.NOTARIZE:
            return
        proposal = self._first.get(message.digest)
        if proposal is None or message.view != proposal.view:
            return
        ahead_ms = (
            proposal.block.header.time_ms - validator.clock.read_ms(self.subject.log.now_ms) - validator.furthest_ms
        )
        parent = self._first.get(proposal.block.header.parent_digest)
        is_next = parent is not None and proposal.block.header.time_ms == parent.block.header.time_ms + 1
        if ahead_ms > DRIFT_MS_MAX and not is_next:
            raise Violation(f"{validator.name} votes in view {message.view} for a block from {ahead_ms} ms ahead")

    def on_stored(self, validator: SimValidator, stored: Stored) -> None:
        header, genesis = stored.block.header, self.subject.genesis
        expected = {
            "protocol_version": genesis.protocol_version,
            "epoch": EPOCH,
            "proposer": leader(self._powers, header.view),
            "seal": None,
        }
        for name, value in expected.items():
            if getattr(header, name) != value:
                raise Violation(f"height {header.height} has {name} {getattr(header, name)!r} in place of {value!r}")
