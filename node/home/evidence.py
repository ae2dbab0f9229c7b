"""What an operator, or a court, should see later: each report goes to the log, and proofs to a folder of their own."""

import json
from collections import Counter
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Final

import structlog

from node.home.files import changing, replace_file

FORK: Final = "fork"
ROWS_OF_FORK: Final = "rows_of_fork"
SETTLED: Final = "settled.json"
"""Up to which height forks of the state are settled, here."""
KEPT: Final = ("evidence", "state_differs", FORK)
"""Reports that hold signed messages."""
FILES_MAX: Final = 100
"""Reports of one kind that are kept of one validator. What is beyond is only logged: whoever keeps contradicting itself
cannot fill our disk, nor take the room of what is to be kept of others."""

SIZE_MAX: Final = 16 << 20
"""Of a report that is read."""

_log = structlog.get_logger()


class EvidenceFolder:
    """A file per proof, named by what it is and by its digest, so that none is kept twice."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._kept: Counter[tuple[object, object]] = Counter()
        """How many there are, by what they are and of whom."""
        self._counted_at_ns = 0
        """When the folder was changed last, of what is counted: other processes may keep some too."""

    def report(self, what: str, facts: Mapping[str, object]) -> None:
        """Log it; keep it if it is a proof. A disk that refuses it is logged too, and nothing else."""
        shown = {name: _plain(value) for name, value in facts.items()}
        _log.warning(what, **shown)
        if what not in KEPT:
            return
        try:
            self._keep(
                what, shown.get("validator"), json.dumps({"what": what, **shown}, indent=1, sort_keys=True) + "\n"
            )
        except OSError as error:
            _log.warning("evidence not kept", reason=str(error))

    def _keep(self, what: str, accused: object, text: str) -> None:
        self._folder.mkdir(exist_ok=True)
        path = self._folder / f"{what}-{sha256(text.encode()).hexdigest()[:16]}.json"
        with changing(self._folder):
            if self._folder.stat().st_mtime_ns != self._counted_at_ns:
                self._kept = Counter(map(_of_whom, self._folder.glob("*-*.json")))
            # A fork is reported once, by a validator that then stops: there is always room for it.
            if path.exists() or (what != FORK and self._kept[what, accused] >= FILES_MAX):
                return
            replace_file(path, text.encode())
            self._kept[what, accused] += 1
            self._counted_at_ns = self._folder.stat().st_mtime_ns


def _of_whom(report: Path) -> tuple[object, object]:
    """What a kept report is, and whom it speaks against; None where it does not read."""
    try:
        with report.open("rb") as file:
            document = json.loads(file.read(SIZE_MAX))
        return document["what"], document.get("validator")
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None, None


def fork_reports(folder: Path) -> list[Path]:
    """The reports of forks of the state, the newest last."""
    return sorted(folder.glob(f"{FORK}-*.json"), key=lambda file: file.stat().st_mtime_ns)


def settle(folder: Path) -> int | None:
    """Note that what the reports of forks say is settled: the database was built anew since, or is as it would be.
    The height, if it was not noted before. Raises: OSError."""
    height = max(map(height_of, fork_reports(folder)), default=0)
    if not height:
        return None
    with changing(folder):
        if height <= settled_height(folder):
            return None
        replace_file(folder / SETTLED, json.dumps({"height": height}).encode() + b"\n")
    return height


def settled_height(folder: Path) -> int:
    """Up to where forks of the state are settled; 0 where none is."""
    return height_of(folder / SETTLED)


def height_of(report: Path) -> int:
    """The height that a report is of; 0 where it does not read."""
    try:
        with report.open("rb") as file:
            height = json.loads(file.read(SIZE_MAX))["height"]
    except (OSError, ValueError, KeyError, TypeError):
        return 0
    return height if isinstance(height, int) else 0


def others_of(report: Path) -> list[bytes]:
    """What others had signed, by a report of a fork; nothing where it does not read. Nothing of it is verified."""
    try:
        with report.open("rb") as file:
            document = json.loads(file.read(SIZE_MAX))
        return [bytes.fromhex(value) for value in document["others"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _plain(value: object) -> object:
    """Bytes as hex, as deep as reports go."""
    if isinstance(value, bytes):
        return value.hex()
    return [_plain(item) for item in value] if isinstance(value, list) else value
