"""The supervisor with small real processes: back-off, halt, drain, and nothing left behind."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from node.embedded.postgres_files import PostgresUnusable
from node.home import exits, status
from node.home.control import ControlFile
from node.home.layout import Home
from node.home.status import Status, StatusFile, is_running
from node.settings.tree import SupervisorSettings
from node.supervision.backoff import Restarts
from node.supervision.child import ChildSpec
from node.supervision.supervisor import SERVICE_TRIES, Supervisor

QUICK = SupervisorSettings(backoff_ms=1, backoff_max_ms=4, drain_ms=2_000)
WAITS = (
    "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit(0)); open({ready!r}, 'w'); signal.pause()"
)
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); open({ready!r}, 'w'); signal.pause()"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home")
    home.make_folders()
    return home


class Fragile:
    """A service that fails to start so many times."""

    pid = None

    def __init__(self, failures: int) -> None:
        self.left = failures

    def ensure_running(self) -> bool:
        if self.left:
            self.left -= 1
            raise PostgresUnusable("killed while it started")
        return True

    def stop(self) -> None:
        return


def test_a_service_that_was_killed_while_it_started_is_started_again(home: Home) -> None:
    service = Fragile(SERVICE_TRIES - 1)
    supervisor = Supervisor(home, QUICK, [], service)
    when(lambda: has_state(home, "postgres", status.RUNNING), lambda: os.kill(os.getpid(), signal.SIGTERM))
    assert supervisor.run() == exits.OK
    with pytest.raises(PostgresUnusable):
        Supervisor(home, QUICK, [], Fragile(SERVICE_TRIES)).run()


def python(name: str, code: str) -> ChildSpec:
    return ChildSpec(name, [sys.executable, "-S", "-c", code])


def status_of(home: Home, name: str) -> Status:
    said = StatusFile(home.status_file(name)).read()
    assert said is not None
    return said


def has_state(home: Home, name: str, state: str) -> bool:
    said = StatusFile(home.status_file(name)).read()
    return said is not None and said.state == state


def when(condition: Callable[[], bool], act: Callable[[], object]) -> threading.Thread:
    """Act once the condition holds; the supervisor needs the main thread."""

    def wait() -> None:
        while not condition():
            done.wait(0.005)
        act()

    done = threading.Event()
    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def run(home: Home, specs: Sequence[ChildSpec], settings: SupervisorSettings = QUICK) -> tuple[int, str]:
    supervisor = Supervisor(home, settings, specs)
    return supervisor.run(), supervisor.halt_message()


def test_back_off_doubles_up_to_its_maximum_and_starts_anew_after_a_steady_run() -> None:
    restarts = Restarts(SupervisorSettings(backoff_ms=100, backoff_max_ms=300, steady_ms=1_000))
    assert [restarts.wait_s(0.1) for _ in range(4)] == [0.1, 0.2, 0.3, 0.3]
    assert restarts.wait_s(2.0) == 0.1


def test_crashed_process_is_started_again(home: Home, tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    code = f"import signal; open({str(marks)!r}, 'a').write('x'); signal.raise_signal(signal.SIGKILL)"
    helper = when(lambda: marks.exists() and len(marks.read_text()) >= 3, interrupt)
    assert run(home, [python("order", code)])[0] == exits.OK
    helper.join()
    assert len(marks.read_text()) >= 3


def test_process_that_ends_without_being_asked_is_started_again(home: Home, tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    helper = when(lambda: marks.exists() and len(marks.read_text()) >= 2, interrupt)
    run(home, [python("order", f"open({str(marks)!r}, 'a').write('x')")])
    helper.join()
    assert len(marks.read_text()) >= 2


def test_halt_of_one_stops_all_and_shows_its_message(home: Home, tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    file = str(home.status_file("order"))
    halting = (
        "import json, os, sys\n"
        f"while not os.path.exists({str(ready)!r}): pass\n"
        "said = dict(process='order', pid=os.getpid(), state='halted', since_ms=1, detail='Lost; do this.')\n"
        f"open({file!r}, 'w').write(json.dumps(said)); sys.exit(3)"
    )
    code, message = run(home, [python("order", halting), python("execute", WAITS.format(ready=str(ready)))])
    assert (code, message) == (exits.HALT, "order: Lost; do this.")
    assert status_of(home, "order").state == status.HALTED
    assert status_of(home, "execute").state == status.STOPPED
    assert status_of(home, "supervisor").detail == "Lost; do this."


def test_settings_that_a_process_cannot_use_halt_the_node(home: Home) -> None:
    assert run(home, [python("order", "import sys; sys.exit(2)")])[0] == exits.HALT


def test_signal_drains_the_processes_in_order(home: Home, tmp_path: Path) -> None:
    first, second, ended = tmp_path / "first", tmp_path / "second", tmp_path / "ended"
    code = (
        "import signal, sys\n"
        "def end(*_): open({ended!r}, 'a').write({name!r}); sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, end); open({ready!r}, 'w'); signal.pause()"
    )
    specs = [
        python("order", code.format(ended=str(ended), name="o", ready=str(first))),
        python("execute", code.format(ended=str(ended), name="e", ready=str(second))),
    ]
    helper = when(lambda: first.exists() and second.exists(), interrupt)
    assert run(home, specs)[0] == exits.OK
    helper.join()
    assert ended.read_text() == "oe"


def test_process_that_does_not_drain_in_time_is_killed(home: Home, tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    helper = when(ready.exists, interrupt)
    settings = SupervisorSettings(drain_ms=50)
    assert run(home, [python("order", STUBBORN.format(ready=str(ready)))], settings)[0] == exits.OK
    helper.join()
    assert not is_running(status_of(home, "order").pid)


def test_second_signal_kills_at_once(home: Home, tmp_path: Path) -> None:
    ready = tmp_path / "ready"

    def twice() -> None:
        interrupt()
        when(lambda: has_state(home, "supervisor", status.DRAINING), interrupt).join()

    helper = when(ready.exists, twice)
    settings = SupervisorSettings(drain_ms=600_000)
    assert run(home, [python("order", STUBBORN.format(ready=str(ready)))], settings)[0] == exits.OK
    helper.join()


def test_what_a_dead_process_had_started_is_swept_away(home: Home, tmp_path: Path) -> None:
    worker = tmp_path / "worker"
    code = (
        "import os, signal\n"
        "pid = os.fork()\n"
        "if pid == 0: signal.pause()\n"
        f"open({str(worker)!r} + 't', 'w').write(str(pid)); os.rename({str(worker)!r} + 't', {str(worker)!r})\n"
        "signal.raise_signal(signal.SIGKILL)"
    )
    spec = python("order", code)
    helper = when(lambda: worker.exists() and has_state(home, "order", status.CRASHED), interrupt)
    assert run(home, [spec], SupervisorSettings(backoff_ms=60_000, backoff_max_ms=60_000))[0] == exits.OK
    helper.join()
    pid = int(worker.read_text())
    until(lambda: not is_running(pid) or "Z" in Path(f"/proc/{pid}/stat").read_text().split()[2])


def test_status_before_the_first_write_is_none(home: Home) -> None:
    assert StatusFile(home.status_file("order")).read() is None


def test_status_of_a_living_process_says_so(home: Home) -> None:
    StatusFile(home.status_file("order")).write(status.RUNNING)
    assert status_of(home, "order").is_alive
    assert status_of(home, "order").pid == os.getpid()


def test_a_paused_process_stands_still_until_it_may_go_on_also_over_a_restart(home: Home, tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    spec = python("worker", WAITS.format(ready=str(ready)))
    control = ControlFile(home.control_file)

    def drive() -> None:
        until(lambda: ready.exists() and has_state(home, "worker", status.STARTING))
        control.change(paused=["worker"])
        until(lambda: has_state(home, "worker", status.PAUSED))
        os.kill(os.getpid(), signal.SIGTERM)

    driven = threading.Thread(target=drive, daemon=True)
    driven.start()
    assert Supervisor(home, QUICK, [spec]).run() == exits.OK
    driven.join()
    ready.unlink()

    def drive_again() -> None:
        until(lambda: has_state(home, "worker", status.PAUSED))
        assert not ready.exists()
        control.change(paused=[])
        until(ready.exists)
        os.kill(os.getpid(), signal.SIGTERM)

    again = threading.Thread(target=drive_again, daemon=True)
    again.start()
    supervisor = Supervisor(home, QUICK, [spec])
    assert supervisor.run() == exits.OK
    again.join()
    assert supervisor.starts() == {"worker": 1}


def test_a_process_that_does_not_stop_to_be_paused_is_killed(home: Home, tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    quick = SupervisorSettings(backoff_ms=1, backoff_max_ms=4, drain_ms=100)
    supervisor = Supervisor(home, quick, [python("worker", STUBBORN.format(ready=str(ready)))])

    def drive() -> None:
        until(ready.exists)
        pid = status_of(home, "worker").pid
        ControlFile(home.control_file).change(paused=["worker"])
        until(lambda: has_state(home, "worker", status.PAUSED))
        assert not is_running(pid)
        os.kill(os.getpid(), signal.SIGTERM)

    driven = threading.Thread(target=drive, daemon=True)
    driven.start()
    assert supervisor.run() == exits.OK
    driven.join()
    assert supervisor.starts() == {"worker": 1}


def until(condition: Callable[[], bool]) -> None:
    """Wait for it; the test's own time is the bound."""
    pause = threading.Event()
    while not condition():
        pause.wait(0.005)
