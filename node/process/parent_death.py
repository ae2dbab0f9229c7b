"""A supervised process does not outlive its supervisor, however that one ends; and long work ends in order."""

import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

_PR_SET_PDEATHSIG: Final = 1
_GUARD: Final = 'read -r _ || kill -TERM "$1" 2>/dev/null'
"""Standard input ends when whoever holds its other end is gone, however that one ended."""


def die_with_parent(parent_pid: int) -> None:
    """From now on this process is killed when `parent_pid` is gone; at once if it is gone already.

    Linux: by the kernel. Elsewhere: by a thread that reads standard input, whose other end the parent holds open.
    To be called once, at the start of the process; killing is safe, since every durable step survives it.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    else:
        threading.Thread(target=_exit_at_end_of_input, name="lifeline", daemon=True).start()
    if os.getppid() != parent_pid:
        os._exit(1)


def _exit_at_end_of_input() -> None:
    while os.read(0, 4096):
        pass
    os._exit(1)


def guard_of(pid: int) -> "subprocess.Popen[bytes]":
    """A process that asks `pid` to end when this one is gone, however it ended. Kill it, and wait for it, before `pid`
    can be another's."""
    argv = ["sh", "-c", _GUARD, "sh", str(pid)]
    return subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True)


@contextmanager
def interrupted_by_sigterm() -> Iterator[None]:
    """Inside, SIGTERM ends the work of the main thread as Ctrl-C does: what it has started is ended, and what it has
    found is kept."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
