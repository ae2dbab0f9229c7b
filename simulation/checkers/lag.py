"""Lag: whose executor has fallen behind neither orders more records nor votes for more."""

from collections.abc import Sequence
from typing import Final

from consensus.wire.messages import Block, Kind, Message, Proposal, Vote, genesis_block
from simulation.checkers.checker import Checker, Subject, Violation
from simulation.parts.validator import SimValidator

LAG_MAX: Final = 10
"""Of all validators of a world."""


class Lag(Checker):
    """Looks at first words only: what was signed before may be said again."""

    def __init__(self, subject: Subject) -> None:
        super().__init__(subject)
        self._lags: dict[tuple[int, int], int] = {}
        """By process and life: what was measured in its last turn."""
        self._blocks: dict[bytes, Block] = {subject.genesis.digest: genesis_block(subject.genesis)}
        self._said: set[bytes] = set()

    def on_appended(self, topic: str, value: bytes, message: Message) -> None:
        if isinstance(message, Proposal):
            self._blocks.setdefault(message.block.digest, message.block)

    def on_send(self, validator: SimValidator, value: bytes, message: Message) -> None:
        self.on_appended("", value, message)
        is_new = value not in self._said
        self._said.add(value)
        block = self._voted(message)
        lag = min(validator.lag, self._lags.get((validator.seat, validator.life), 0))
        if is_new and lag > LAG_MAX and block is not None and self._adds_records(block):
            raise Violation(f"{validator.name} lags by {lag} records and agrees to more in view {message.view}")

    def on_heard(self, validator: SimValidator, values: Sequence[bytes], view: int) -> None:
        self._lags[validator.seat, validator.life] = validator.measured_lag

    def _voted(self, message: Message) -> Block | None:
        """The block that is new in the view of a proposal, or of a vote for one."""
        if isinstance(message, Proposal):
            block: Block | None = message.block
        else:
            is_vote = isinstance(message, Vote) and message.kind is Kind.NOTARIZE
            block = self._blocks.get(message.digest) if is_vote and isinstance(message, Vote) else None
        return None if block is None or block.header.view != message.view else block

    def _adds_records(self, block: Block) -> bool:
        parent = self._blocks.get(block.header.parent_digest)
        return parent is not None and not block.header.openings and block.header.heads != parent.header.heads
