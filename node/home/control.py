"""What operators want of a node until they want something else: a small file, changed by turns, followed by all
processes.

It says how things should be, never what to do: a process that dies, or misses a change, comes to the same.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import structlog

from node.home.files import changing, replace_file

BYTES_MAX: Final = 64 << 10
HEIGHT_MAX: Final = 1 << 62
LEVELS: Final = ("debug", "info", "warning", "error")

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Control:
    """`paused`: processes that do not run. `log_level`: instead of the setting; empty: the setting.
    `snapshot_from`: a snapshot of this height or of one above is wanted. `prune_to`: history up to this height may go.
    0: nothing is wanted.
    """

    paused: tuple[str, ...] = ()
    log_level: str = ""
    snapshot_from: int = 0
    prune_to: int = 0


class ControlFile:
    """Read by anybody, as often as they like: as long as the file stays the same, reading asks for its times only."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, int, int] | None = None
        self._control = Control()

    def read(self) -> Control:
        """As it stands. A file that is not one of ours changes nothing of what was read before, and is logged once."""
        try:
            stat = self._path.stat()
            stamp = (stat.st_mtime_ns, stat.st_ino, stat.st_size)
            if stamp != self._stamp:
                self._stamp = stamp
                self._control = _control(self._path)
        except FileNotFoundError:
            self._stamp, self._control = None, Control()
        except (OSError, ValueError) as error:
            _log.error("what operators want cannot be read", file=str(self._path), reason=str(error))
        return self._control

    def change(self, **changes: Any) -> Control:
        """Write it with some fields changed, durably. Raises: OSError."""
        return self.update(lambda control: replace(control, **changes))

    def update(self, change: Callable[[Control], Control]) -> Control:
        """Write what `change` makes of what stands there, durably; others who change it wait. Raises: OSError."""
        with changing(self._path.parent):
            self._stamp = None  # within one tick of the file system's clock two versions can have the same times
            control = change(self.read())
            replace_file(self._path, json.dumps(asdict(control)).encode())
            return control


def _control(path: Path) -> Control:
    """Raises: OSError, ValueError."""
    with path.open("rb") as stream:
        raw = stream.read(BYTES_MAX + 1)
    document = json.loads(raw) if len(raw) <= BYTES_MAX else None
    if not isinstance(document, dict) or document.keys() != Control.__dataclass_fields__.keys():
        raise ValueError("it is not what the admin process writes")
    paused, level = document["paused"], document["log_level"]
    heights = document["snapshot_from"], document["prune_to"]
    if not isinstance(paused, list) or not all(isinstance(name, str) for name in paused):
        raise ValueError("`paused` is no list of processes")
    if level not in ("", *LEVELS):
        raise ValueError("`log_level` is no level")
    if not all(type(height) is int and 0 <= height <= HEIGHT_MAX for height in heights):
        raise ValueError("a height is no height")
    return Control(tuple(paused), level, *heights)
