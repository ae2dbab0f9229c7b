"""`momus run` of a folder of homes, with small processes in place of supervisors."""

import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from node.home import exits, status
from node.home.layout import Home, HomeUnusable
from node.home.status import StatusFile
from node.settings.tree import SupervisorSettings
from node.supervision.local_committee import SupervisorGroup, homes_below

QUICK = SupervisorSettings(backoff_ms=1, backoff_max_ms=4, drain_ms=2_000)
STARTS = "import os, signal, sys; open(sys.argv[1] + '/starts', 'a').write(f'{os.getpid()} '); "
WAITS = STARTS + "signal.signal(signal.SIGTERM, lambda *_: sys.exit(0)); signal.pause()"
FIRST_HALTS = STARTS + "sys.argv[1].endswith('validator-1') and sys.exit(3); " + WAITS.removeprefix(STARTS)
READY = "import os, signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit(0)); " + STARTS + "signal.pause()"
STUBBORN = STARTS + "signal.signal(signal.SIGTERM, signal.SIG_IGN); signal.pause()"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in (1, 2):
        home = Home(tmp_path / f"validator-{number}")
        home.make_folders()
        home.settings_file.touch()
    (tmp_path / "log").mkdir()
    return tmp_path


def committee(folder: Path, code: str, settings: SupervisorSettings = QUICK) -> SupervisorGroup:
    return SupervisorGroup(folder, homes_below(folder), [sys.executable, "-S", "-c", code], settings)


def starts(folder: Path, number: int) -> list[int]:
    """The process ids of its starts so far."""
    file = folder / f"validator-{number}" / "starts"
    return [int(word) for word in file.read_text().split()] if file.exists() else []


def when(condition: Callable[[], bool], act: Callable[[], object]) -> None:
    """Act once the condition holds; the committee needs the main thread."""
    done = threading.Event()

    def wait() -> None:
        while not condition():
            done.wait(0.005)
        act()

    threading.Thread(target=wait, daemon=True).start()


def stop_politely(folder: Path, number: int) -> None:
    os.kill(starts(folder, number)[-1], signal.SIGTERM)


def ask_to_stop() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def test_homes_of_a_folder_are_those_with_settings_by_name(folder: Path) -> None:
    assert [home.path.name for home in homes_below(folder)] == ["validator-1", "validator-2"]
    assert homes_below(folder / "validator-1") == []
    assert homes_below(folder / "nothing") == []


def test_all_run_until_asked_to_stop(folder: Path) -> None:
    when(lambda: bool(starts(folder, 1) and starts(folder, 2)), ask_to_stop)
    assert committee(folder, WAITS).run() == exits.OK
    assert (len(starts(folder, 1)), len(starts(folder, 2))) == (1, 1)


def test_killed_validator_starts_again(folder: Path) -> None:
    when(lambda: len(starts(folder, 2)) == 1, lambda: os.kill(starts(folder, 2)[0], signal.SIGKILL))
    when(lambda: len(starts(folder, 2)) == 2, ask_to_stop)
    assert committee(folder, WAITS).run() == exits.OK
    assert len(starts(folder, 1)) == 1


def test_halted_validator_stays_down_while_the_others_go_on(folder: Path) -> None:
    running = committee(folder, FIRST_HALTS)
    when(lambda: bool(running.halted() and starts(folder, 2)), ask_to_stop)
    assert running.run() == exits.HALT
    assert list(running.halted()) == ["validator-1"]
    assert (len(starts(folder, 1)), len(starts(folder, 2))) == (1, 1)


ENDS = STARTS + "sys.argv[1].endswith('validator-1') and {end}; " + WAITS.removeprefix(STARTS)


@pytest.mark.parametrize(
    ("end", "starts_again"),
    [
        ("sys.exit(0)", False),  # an operator, or a signal, has asked its supervisor to stop
        ("sys.exit(2)", False),
        ("sys.exit(3)", False),
        ("sys.exit(1)", True),
        ("sys.exit(4)", True),
        ("os.kill(os.getpid(), 9)", True),
    ],
)
def test_only_a_crashed_validator_starts_again(folder: Path, end: str, starts_again: bool) -> None:
    file = StatusFile(Home(folder / "validator-1").status_file("supervisor"))

    def has_settled() -> bool:
        said = file.read()
        has_ended = said is not None and said.state in (status.STOPPED, status.HALTED)
        return (len(starts(folder, 1)) >= 3 or has_ended) and bool(starts(folder, 2))

    when(has_settled, ask_to_stop)
    committee(folder, ENDS.replace("{end}", end)).run()
    assert (len(starts(folder, 1)) > 1, len(starts(folder, 2))) == (starts_again, 1)


def test_a_committee_ends_when_the_last_validator_was_stopped(folder: Path) -> None:
    when(lambda: bool(starts(folder, 1)), lambda: stop_politely(folder, 1))
    when(lambda: bool(starts(folder, 2)), lambda: stop_politely(folder, 2))
    when(lambda: len(starts(folder, 1)) > 1 and len(starts(folder, 2)) > 1, ask_to_stop)
    assert committee(folder, READY).run() == exits.OK
    assert (len(starts(folder, 1)), len(starts(folder, 2))) == (1, 1)


def test_validators_that_do_not_stop_are_killed_when_their_time_is_over(folder: Path) -> None:
    impatient = SupervisorSettings(backoff_ms=1, drain_ms=30)
    when(lambda: bool(starts(folder, 1) and starts(folder, 2)), ask_to_stop)
    assert committee(folder, STUBBORN, impatient).run() == exits.OK
    with pytest.raises(ProcessLookupError):
        os.kill(starts(folder, 1)[0], 0)


def test_second_run_of_the_same_folder_is_refused(folder: Path) -> None:
    refused: list[str] = []

    def run_again() -> None:
        try:
            committee(folder, WAITS).run()
        except HomeUnusable as error:
            refused.append(str(error))

    when(lambda: bool(starts(folder, 1) and starts(folder, 2)), run_again)
    when(lambda: bool(refused), ask_to_stop)
    assert committee(folder, WAITS).run() == exits.OK
    assert "run already" in refused[0]
