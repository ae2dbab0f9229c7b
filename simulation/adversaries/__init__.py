"""Byzantine validators: an honest one whose words are changed on their way out. One file each, named by misdeed."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random
from typing import ClassVar

from backbone.store import StoredRecord
from consensus.wire.messages import Proposal, Statement, Wire
from ledger.genesis import Genesis
from ledger.header import Header
from simulation.parts.signatures import MemoKey, MemoWire


class Adversary:
    """Sits between an honest validator and the log. As it stands it changes nothing."""

    copies: ClassVar[int] = 1
    """How many processes run with its key, each with disk and clock of its own, and an adversary object each."""

    def __init__(self, genesis: Genesis, index: int, key: MemoKey, random: Random) -> None:
        self.genesis = genesis
        self.index = index
        self.random = random
        self.copy = 0
        """Which of its copies this one is; set by the world, like the callables below."""
        self.send: Callable[[bytes], None] = lambda value: None
        """Sends a record of its own accord, on its own topic."""
        self.side_of: Callable[[int], int | None] = lambda seat: None
        """The half of the validators (0: even seats, 1: odd ones) that a process lives with; None: with all."""
        self.send_to: Callable[[str, bytes], None] = lambda topic, value: None
        """The same on any topic: where no broker keeps validators from writing into others' topics."""
        self.records: Callable[[int], Sequence[StoredRecord]] = lambda partition: ()
        """What its validator's store holds of a partition."""
        self.wire: Wire = MemoWire(genesis)
        self._key = key

    def outgoing(self, topic: str, value: bytes) -> list[bytes]:
        """The records sent in place of `value`."""
        return [value]

    def holds_back_ms(self, value: bytes) -> int:
        """How much later than said a record leaves."""
        return 0

    def on_record(self, topic: str, value: bytes) -> None:
        """A record was appended, by anybody."""

    def on_heal(self) -> None:
        """From now on nothing else goes wrong: who does much of something may begin to count anew."""

    def hides(self, value: bytes, reader: int) -> bool:
        """Whether a record of its own is kept from a reader for good: the log colludes."""
        return False

    def is_deaf_to(self, writer: int) -> bool:
        """Whether the validator that it sits on is kept from hearing a writer."""
        return False

    def withholds(self, topic_id: str, partition: int, offset: int, reader: int) -> bool:
        """Whether a client's record is kept from a reader until the heal: the log colludes."""
        return False

    def signed(self, statement: Statement) -> bytes:
        """A statement's record, under its own key."""
        return self.wire.encode(replace(statement, signature=self._key.sign(self.wire.signing_bytes(statement))))

    def proposal(self, message: Proposal, header: Header) -> bytes:
        """A proposal of another header in place of its own."""
        return self.signed(replace(message, block=self.wire.block(header)))
