"""Exit codes, the same for every command and process."""

from typing import Final

from ledger.errors import CallerError, Halt, PeerError, Unavailable

OK: Final = 0
FAILED: Final = 1
"""A check failed, or a transaction was rejected."""
USAGE: Final = 2
"""The command line, the settings or the home cannot be used."""
HALT: Final = 3
"""The node must not go on: the message names the remedy. Never restarted."""
UNAVAILABLE: Final = 4
"""Something that is needed (log, database, disk) did not answer. Try again."""

FAMILIES: Final[dict[type[Exception], int]] = {
    PeerError: FAILED,
    CallerError: USAGE,
    Unavailable: UNAVAILABLE,
    Halt: HALT,
}
"""What each family of error ends a command or a process with."""


def code_of(error: Exception) -> int:
    """Of an error of a family."""
    return next(code for family, code in FAMILIES.items() if isinstance(error, family))
