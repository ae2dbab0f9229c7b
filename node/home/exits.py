"""Exit codes, the same for every command and process."""

from typing import Final

OK: Final = 0
FAILED: Final = 1
"""A check failed, or a transaction was rejected."""
USAGE: Final = 2
"""The command line, the settings or the home cannot be used."""
HALT: Final = 3
"""The node must not go on: the message names the remedy. Never restarted."""
UNAVAILABLE: Final = 4
"""Something that is needed (log, database, disk) did not answer. Try again."""
