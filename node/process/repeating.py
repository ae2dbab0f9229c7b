"""Something that is done again and again beside all else, for as long as a body runs."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import structlog

JOIN_S: Final = 2.0
"""How long its last turn is waited for. What never ends is left to the end of the process."""

_log = structlog.get_logger()


@contextmanager
def repeating(name: str, act: Callable[[], object], every_s: float) -> Iterator[None]:
    """While the body runs: `act` in a thread of its own, `every_s` seconds after the start and after each end of it.

    An error that `act` does not foresee is logged when it is another than before, and ends nothing: what is done again
    may well do better.
    """
    stop = threading.Event()

    def run() -> None:
        failed = ""
        while not stop.wait(every_s):
            try:
                act()
            except Exception as error:  # noqa: BLE001 - whatever it is, the next turn may do better
                if repr(error) != failed:
                    _log.exception("failed, and is done again", what=name)
                failed = repr(error)

    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(JOIN_S)
