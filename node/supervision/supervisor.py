"""`momus run`: keeps a node's processes alive, stops them all on a halt, drains them on SIGTERM and Ctrl-C.

Draining goes in the order of the children: each is asked to finish when it has caught up with those before it, and
killed when its time is over. A second signal kills at once. Whatever is killed loses nothing: it continues from what
is durable.
"""

import signal
import time
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Final, Protocol

import structlog

from node.embedded.postgres_files import PostgresUnusable
from node.home import exits, status
from node.home.control import ControlFile
from node.home.layout import Home
from node.home.locks import node_lock
from node.home.status import StatusFile
from node.settings.tree import SupervisorSettings
from node.supervision.backoff import Restarts
from node.supervision.child import HALTED, RUNNING, STOPPED, Child, ChildSpec
from node.supervision.self_pipe import Wakeup

_log = structlog.get_logger()
SERVICE_TRIES: Final = 3
"""How often a service is started before the node gives up, at its own start."""
_TICK_S = 0.25


class Service(Protocol):
    """Something that the processes need and the supervisor keeps up: the embedded Postgres."""

    @property
    def pid(self) -> int | None:
        """Its process id; None while it does not run."""

    def ensure_running(self) -> bool:
        """Start it if it does not run. Whether it had to be started. Raises: PostgresUnusable."""

    def stop(self) -> None: ...


class Supervisor:
    """Runs children until a signal or a halt. Used once, by the main thread of its process."""

    def __init__(
        self,
        home: Home,
        settings: SupervisorSettings,
        specs: Sequence[ChildSpec],
        service: Service | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._home = home
        self._settings = settings
        self._clock = clock
        self._service = service
        self._service_file = StatusFile(home.status_file("postgres"))
        self._service_restarts = Restarts(settings)
        self._service_due = 0.0
        self._file = StatusFile(home.status_file("supervisor"))
        self._control = ControlFile(home.control_file)
        self._children = [
            Child(spec, StatusFile(home.status_file(spec.name)), Restarts(settings), clock) for spec in specs
        ]
        self._wake = Wakeup()
        self._signals = 0

    def run(self) -> int:
        """Until a signal (exit code 0) or a halt (3).

        Raises: HomeUnusable where the node runs already; PostgresUnusable where it does not start at first.
        """
        with node_lock(self._home):
            return self._run()

    def _run(self) -> int:
        before = {number: signal.signal(number, self._on_signal) for number in (signal.SIGTERM, signal.SIGINT)}
        before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, self._on_child)
        self._file.write(status.STARTING)
        try:
            return self._supervise()
        finally:
            for child in self._children:
                child.end()
            if self._service is not None:
                pid = self._service.pid
                self._service.stop()
                self._service_file.write(status.STOPPED, pid=pid)
            for number, handler in before.items():
                signal.signal(number, handler)
            self._wake.close()

    def _supervise(self) -> int:
        self._start_service()
        self._pause()
        for child in self._children:
            child.watch(restart=True)
        self._file.write(status.RUNNING)
        while not self._signals and self._halted() is None:
            self._watch(restart=True)
            self._sleep()
        self._file.write(status.DRAINING)
        for child in self._children:
            self._drain(child)
        halted = self._halted()
        if halted is None:
            self._file.write(status.STOPPED)
            return exits.OK
        self._file.write(status.HALTED, halted.detail)
        _log.error("halted", child=halted.spec.name, reason=halted.detail)
        return exits.HALT

    def starts(self) -> dict[str, int]:
        """How often each process was started, by name. From any thread."""
        return {child.spec.name: child.starts for child in self._children}

    def halt_message(self) -> str:
        """Why the node halted, with the remedy; empty if it did not."""
        halted = self._halted()
        return "" if halted is None else f"{halted.spec.name}: {halted.detail or 'halted without a message'}"

    def _drain(self, child: Child) -> None:
        child.stop_waiting()
        deadline = self._clock() + self._settings.drain_ms / 1000
        is_asked = False
        while child.state == RUNNING:
            if not is_asked and (
                self._clock() >= deadline - self._settings.drain_ms / 2000 or child.spec.has_caught_up()
            ):
                child.terminate()
                is_asked = True
            if self._clock() >= deadline or self._signals > 1:
                child.kill()
            self._sleep(0.02)
            self._watch(restart=False)

    def _watch(self, restart: bool) -> None:
        if restart:
            self._watch_service()
            self._pause()
        for child in self._children:
            starts = child.starts
            if child.watch(restart):
                report = _log.info if child.state == STOPPED else _log.warning
                report("process ended", child=child.spec.name, state=child.state, detail=child.detail)
            if child.starts > starts:
                _log.info("process started", child=child.spec.name, starts=child.starts)

    def _pause(self) -> None:
        paused = self._control.read().paused
        for child in self._children:
            child.pause(child.spec.name in paused, self._settings.drain_ms / 1000)

    def _start_service(self) -> None:
        """What does not start even after a few tries is for the person to see who has just typed the command."""
        if self._service is None:
            return
        for tries_left in reversed(range(SERVICE_TRIES)):
            try:
                self._service.ensure_running()
                break
            except PostgresUnusable as error:
                if not tries_left or self._signals:
                    raise
                # Somebody may have killed it while it started.
                _log.warning("Postgres does not start", reason=str(error))
                self._sleep(self._service_restarts.wait_s(0.0))
        self._service_file.write(status.RUNNING, pid=self._service.pid)

    def _watch_service(self) -> None:
        """Start it again where it died; where it does not start, try again later: the processes wait for it."""
        if self._service is None or self._clock() < self._service_due:
            return
        died_pid = self._service.pid
        try:
            if self._service.ensure_running():
                self._service_file.write(status.RUNNING, pid=self._service.pid)
                _log.warning("started Postgres again", pid=self._service.pid)
        except PostgresUnusable as error:
            wait_s = self._service_restarts.wait_s(0.0)
            self._service_due = self._clock() + wait_s
            self._service_file.write(status.CRASHED, str(error).partition("\n")[0], died_pid)
            _log.error("Postgres does not start", reason=str(error), again_in_s=wait_s)

    def _halted(self) -> Child | None:
        return next((child for child in self._children if child.state == HALTED), None)

    def _sleep(self, at_most_s: float = _TICK_S) -> None:
        waits = [wait for child in self._children if (wait := child.wait_s()) is not None]
        self._wake.wait(min([at_most_s, *waits]))

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._signals += 1
        self._wake.set()

    def _on_child(self, number: int, frame: FrameType | None) -> None:
        self._wake.set()
