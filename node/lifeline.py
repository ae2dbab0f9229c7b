"""A supervised process does not outlive its supervisor, however that one ends."""

import ctypes
import os
import signal
import sys
import threading
from typing import Final

_PR_SET_PDEATHSIG: Final = 1


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
