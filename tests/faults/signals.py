"""Processes paused for a while: SIGSTOP, and SIGCONT in any case."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from lab.demo.local_node import LocalNode


@contextmanager
def stopped(*pids: int) -> Iterator[None]:
    """These processes are paused for as long; one that has died by then is skipped."""
    try:
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        yield
    finally:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def pid_of(node: LocalNode, process: str) -> int:
    """Of a process of a node that runs."""
    status = node.status(process)
    assert status is not None, f"{process} does not run"
    assert status.is_alive, f"{process} does not run"
    return status.pid


def detail_of(node: LocalNode, process: str) -> str:
    """What a process of a node last said of itself."""
    status = node.status(process)
    return "" if status is None else status.detail
