"""What must stop a validator for good. Each message names the remedy; nothing here is retried."""

from ledger.errors import Halt


class ValidatorHalt(Halt):
    """Going on would be unsafe, and starting again would not help: a person must act."""


class JournalLost(ValidatorHalt):
    """The journal is missing, damaged, or another's: this key never signs again; rotate to a fresh key."""


class JournalOfAnotherFormat(ValidatorHalt):
    """Another version of this program wrote the journal. It is not lost: that version reads it."""


class JournalLocked(ValidatorHalt):
    """Another process runs with this journal. One process per key."""


class JournalFailed(ValidatorHalt):
    """The disk refused a write or a sync, so what is durable is unknown. Free or replace it, then start again."""


class JournalRolledBack(ValidatorHalt):
    """The journal is older than what this validator has already said or made final."""


class SecondInstance(ValidatorHalt):
    """Our key signs somewhere else too. Nothing more is signed here until an operator has looked into it."""


class ForkFound(ValidatorHalt):
    """Two final blocks contradict each other: more than a third of the power is Byzantine. Keep all proofs."""


class StoreBehind(ValidatorHalt):
    """The store lacks final blocks that the journal knows to have been stored."""
