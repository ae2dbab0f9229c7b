"""The numbers of all processes as one page: the files of those that live, joined metric by metric."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from node.home.layout import Home
from node.home.status import StatusFile

FILE_BYTES_MAX: Final = 32 << 20
"""Of one process' file; a larger one is left out."""
_HELP: Final = b"# HELP "


def metrics_page(home: Home, own: bytes) -> bytes:
    """Prometheus' text format. `own` is what the process that answers says; of a process that is dead, or that has
    written nothing yet, there is nothing on the page.
    """
    blocks: dict[bytes, list[bytes]] = {}
    for text in (own, *living(home)):
        for head, samples in _blocks(text):
            blocks.setdefault(head, []).append(samples)
    return b"".join(head + b"".join(samples) for head, samples in blocks.items())


def living(home: Home) -> Iterator[bytes]:
    """What each process that lives has written last."""
    for file in sorted(home.run.glob("*.metrics")):
        if StatusFile(home.status_file(file.stem)).is_alive() and (text := _read(file)):
            yield text


def age_s(home: Home, process: str) -> float | None:
    """Seconds since a process has written its numbers; None where it has not."""
    try:
        return max(0.0, time.time() - home.metrics_file(process).stat().st_mtime)
    except OSError:
        return None


def _read(file: Path) -> bytes:
    """Its content; nothing where it has just gone, or is no file that we wrote."""
    try:
        with file.open("rb") as stream:
            text = stream.read(FILE_BYTES_MAX + 1)
    except OSError:
        return b""
    return text if len(text) <= FILE_BYTES_MAX else b""


def _blocks(text: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(its two head lines, its samples) for each metric."""
    for block in text.split(_HELP)[1:]:
        help_line, _, rest = block.partition(b"\n")
        type_line, _, samples = rest.partition(b"\n")
        yield _HELP + help_line + b"\n" + type_line + b"\n", samples
