"""What a process of a node has found out of what it depends on, and of its own work: `run/<process>.pulse`, JSON,
replaced about once a second. Times are milliseconds of the machine's monotonic clock, which all processes share.
"""

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from node.home.files import replace_file

BYTES_MAX: Final = 1 << 18
ERROR_CHARACTERS_MAX: Final = 500


def monotonic_ms() -> int:
    """Now."""
    return time.monotonic_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class Part:
    """A dependency, or a piece of work. `well_ms`: when it last answered; of work, when it last went on or had nothing
    to do. `error`: the last one since; empty where there was none. `waiting`: how much there is to do. `mark`: how far
    the work is, to be told apart from work that went on while nobody looked."""

    well_ms: int
    error: str = ""
    waiting: int = 0
    mark: int = 0


@dataclass(frozen=True, slots=True)
class Pulse:
    """`parts` by name (`node.supervision.verdict.WORDS`). `problems`: sentences on what an operator should mend though
    nothing is down. `silent`: validators that were not heard for so long that they should have been."""

    at_ms: int
    pid: int
    parts: Mapping[str, Part]
    problems: tuple[str, ...] = ()
    silent: tuple[str, ...] = field(default=())


def write_pulse(file: Path, pulse: Pulse) -> None:
    """Raises: OSError."""
    replace_file(file, json.dumps(asdict(pulse)).encode(), durable=False)


def read_pulse(file: Path) -> Pulse | None:
    """What was written last; None where there is nothing, or nothing of ours."""
    try:
        with file.open("rb") as stream:
            document = json.loads(stream.read(BYTES_MAX))
        parts = {str(name): Part(**part) for name, part in document["parts"].items()}
        return Pulse(
            int(document["at_ms"]),
            int(document["pid"]),
            parts,
            tuple(map(str, document["problems"])),
            tuple(map(str, document["silent"])),
        )
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
