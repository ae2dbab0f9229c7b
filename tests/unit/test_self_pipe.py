"""A sleep that signal handlers end, wherever they interrupt."""

import signal
import time
from collections.abc import Iterator

import pytest

from node.supervision.self_pipe import Wakeup
from tests.patience import WAIT_S


@pytest.fixture
def wakeup() -> Iterator[Wakeup]:
    made = Wakeup()
    yield made
    made.close()


def test_a_sleep_ends_at_once_when_it_was_woken_before(wakeup: Wakeup) -> None:
    for _ in range(100_000):
        wakeup.set()
    started = time.monotonic()
    wakeup.wait(WAIT_S)
    assert time.monotonic() - started < 30


def test_a_sleep_that_nobody_ends_lasts_its_time(wakeup: Wakeup) -> None:
    wakeup.set()
    wakeup.wait(WAIT_S)
    started = time.monotonic()
    wakeup.wait(0.02)
    assert time.monotonic() - started >= 0.019


def test_signals_that_interrupt_it_anywhere_never_stop_it_for_good(wakeup: Wakeup) -> None:
    woken = 0

    def on_alarm(number: int, frame: object) -> None:
        nonlocal woken
        woken += 1
        wakeup.set()

    before = signal.signal(signal.SIGALRM, on_alarm)
    signal.setitimer(signal.ITIMER_REAL, 0.0002, 0.0002)
    try:
        while woken < 1_000:
            wakeup.wait(0.0001)
            wakeup.set()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert woken >= 1_000
