"""Byzantine validators: an honest one whose words are changed on their way out. One file each, named by misdeed."""

from random import Random
from typing import Protocol

from ledger.genesis import Genesis
from simulation.signatures import MemoKey


class Adversary(Protocol):
    """What goes to the log instead of what the honest validator says."""

    def __init__(self, genesis: Genesis, index: int, key: MemoKey, random: Random) -> None: ...

    def says(self, topic: str, value: bytes) -> list[bytes]:
        """The records sent in place of `value`."""


class Listener(Protocol):
    """An adversary that also reads everything that reaches the log."""

    def hears(self, topic: str, value: bytes) -> None:
        """A record was appended."""


class Hider(Protocol):
    """An adversary with whom the log colludes."""

    def hides_from(self, reader: int) -> bool:
        """Whether its next record is kept from a reader for good."""
