"""Byzantine validators: an honest one whose words are changed on their way out. One file each, named by misdeed."""

from dataclasses import replace
from random import Random

from consensus.messages import Proposal, Statement, Wire
from ledger.genesis import Genesis
from ledger.header import Header
from simulation.signatures import MemoKey, verify_memoised


class Adversary:
    """Sits between an honest validator and the log. As it stands it changes nothing."""

    def __init__(self, genesis: Genesis, index: int, key: MemoKey, random: Random) -> None:
        self.genesis = genesis
        self.index = index
        self.random = random
        self.wire = Wire(genesis, verify_memoised)
        self._key = key

    def says(self, topic: str, value: bytes) -> list[bytes]:
        """The records sent in place of `value`."""
        return [value]

    def hears(self, topic: str, value: bytes) -> None:
        """A record was appended, by anybody."""

    def hides_from(self, reader: int) -> bool:
        """Whether its next record is kept from a reader for good: the log colludes."""
        return False

    def signed(self, statement: Statement) -> bytes:
        """A statement's record, under its own key."""
        return self.wire.encode(replace(statement, signature=self._key.sign(self.wire.signing_bytes(statement))))

    def proposal(self, message: Proposal, header: Header) -> bytes:
        """A proposal of another header in place of its own."""
        return self.signed(replace(message, block=self.wire.block(header)))
