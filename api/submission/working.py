"""Work that takes the processor: decoding and verifying what is submitted. In a thread beside the event loop, a little
of it at a time, so that everybody's is done by turns and the loop answers whatever is to be done.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, ParamSpec, TypeVar

from serving.problems import Problem

THREADS: Final = 1
"""Python verifies badly in many; and the processors are for consensus and execution."""
SLICE: Final = 16
"""Items done before it is somebody else's turn."""
WAITING_MAX: Final = 20_000
"""Items that wait; more are refused."""

A = TypeVar("A")
B = TypeVar("B")
P = ParamSpec("P")


class Workers:
    """Of one application."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, "api-work")
        self._waiting = 0

    async def run(self, call: Callable[P, B], *args: P.args, **kwargs: P.kwargs) -> B:
        """What a call gives, made beside the loop. Raises: what it raises."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, lambda: call(*args, **kwargs))

    async def each(self, call: Callable[[A], B], items: Sequence[A]) -> list[B]:
        """What a call gives for each item, in order. Raises: what it raises for the first; Problem (back_pressure)."""
        if self._waiting + len(items) > WAITING_MAX:
            raise Problem("back_pressure", "As much waits to be verified as this node holds.")
        self._waiting += len(items)
        found: list[B] = []
        try:
            for start in range(0, len(items), SLICE):
                found += await self.run(lambda part: [call(item) for item in part], items[start : start + SLICE])
        finally:
            self._waiting -= len(items)
        return found
