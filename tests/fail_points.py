"""Kills a process at each of its durable steps in turn, before and after: fail points that no production code knows of.

The step runs in a forked child in which what makes things durable - syncing, renaming and removing files, committing,
statements outside of a transaction - counts its calls and sends SIGKILL to its own process at the one that is asked.
"""

import gc
import os
import pathlib
import signal
from collections.abc import Callable, Iterator
from typing import Any, Final

import psycopg
from psycopg.pq import TransactionStatus

STEPS_MAX: Final = 400


def killed_at_every_step(step: Callable[[], None]) -> Iterator[str]:
    """Run `step` in a child killed before its first durable step, then after it, and so on; between two, yields which.

    Ends when a child comes to its end by itself. Raises: AssertionError, where one fails otherwise, or never ends.
    """
    for number in range(STEPS_MAX):
        for when in ("before", "after"):
            if _has_ended(step, number, when):
                assert number > 0, "nothing was durable"
                return
            yield f"{when} durable step {number}"
    raise AssertionError(f"more than {STEPS_MAX} durable steps")


def _has_ended(step: Callable[[], None], number: int, when: str) -> bool:
    child = os.fork()
    if child == 0:
        code = 1
        # What earlier tests have left must not be collected here: it rests on threads that are not in this process, and
        # on sockets that the parent uses.
        gc.freeze()
        try:
            _Killer(number, when).install()
            step()
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL, f"ended by signal {os.WTERMSIG(status)} {when} {number}"
        return False
    assert os.WEXITSTATUS(status) == 0, f"the step failed {when} {number}"
    return True


class _Killer:
    def __init__(self, number: int, when: str) -> None:
        self._left = number
        self._when = when

    def install(self) -> None:
        """In this process, for good."""
        for module, name in ((os, "fsync"), (os, "fdatasync"), (os, "unlink"), (os, "rmdir")):
            setattr(module, name, self._around(getattr(module, name)))
        for name in ("replace", "unlink"):
            setattr(pathlib.Path, name, self._around(getattr(pathlib.Path, name)))
        psycopg.Transaction.__exit__ = self._around(psycopg.Transaction.__exit__)  # type: ignore[method-assign]
        psycopg.Cursor.execute = self._around_outside(psycopg.Cursor.execute)  # type: ignore[method-assign]

    def _around(self, act: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **more: Any) -> Any:
            is_it, self._left = self._left == 0, self._left - 1
            if is_it and self._when == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            result = act(*arguments, **more)
            if is_it:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return counted

    def _around_outside(self, execute: Callable[..., Any]) -> Callable[..., Any]:
        """Only a statement outside of a transaction that may write is durable by itself."""
        counted = self._around(execute)

        def outside(cursor: psycopg.Cursor[Any], query: Any, *arguments: Any, **more: Any) -> Any:
            is_alone = cursor.connection.info.transaction_status == TransactionStatus.IDLE
            is_read = str(query).lstrip().upper().startswith(("SELECT", "SET", "BEGIN", "SHOW"))
            return (counted if is_alone and not is_read else execute)(cursor, query, *arguments, **more)

        return outside
