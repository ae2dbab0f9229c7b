"""The formats of what a node keeps, and the words with which another one is refused. Here and nowhere else they stand.

Whoever changes the bytes of one counts it up, and either reads the older ones too or leaves them to `refusal`. What is
not in the list has no format of its own: what a process writes anew at its start, and the database, whose tables are
counted by their migrations.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Format:
    """`version` is the one that this program writes and reads."""

    name: str
    version: int

    def refusal(self, found: int) -> str:
        """Of a file of the format `found`, what is wrong with it; empty where it is this one."""
        return "" if found == self.version else refusal(self.name, str(found), str(self.version), found > self.version)


def refusal(name: str, found: str, known: str, is_newer: bool) -> str:
    """The end of a sentence that begins with where it lies. It ends without a full stop."""
    then = "a newer version wrote it: run that version, or one that is newer still"
    before = "an older version wrote it: run that version, or upgrade it as the notes of this version say"
    return f"has {name} format {found}, this program has {name} format {known}, and {then if is_newer else before}"


GENESIS: Final = Format("genesis", 1)
KEY_FILE: Final = Format("key file", 1)
JOURNAL: Final = Format("journal", 1)
STORE: Final = Format("store", 1)
"""Of segments, and of the records that were set aside."""
EMBEDDED_LOG: Final = Format("embedded log", 1)
SNAPSHOT: Final = Format("snapshot", 2)
PEERS_KNOWN: Final = Format("peers", 1)
