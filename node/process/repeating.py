"""Something that is done again and again beside all else, for as long as a body runs."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

JOIN_S: Final = 2.0
"""How long its last turn is waited for. What never ends is left to the end of the process."""


@contextmanager
def repeating(name: str, act: Callable[[], object], every_s: float) -> Iterator[None]:
    """While the body runs: `act` in a thread of its own, `every_s` seconds after the start and after each end of it."""
    stop = threading.Event()

    def run() -> None:
        while not stop.wait(every_s):
            act()

    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(JOIN_S)
