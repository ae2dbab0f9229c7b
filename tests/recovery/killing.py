"""Who can be killed in a running node, and how: SIGKILL by process id, at a moment that a seed chooses."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import TypeVar

from lab.demo.local_node import LocalNode
from node.embedded.postgres import EmbeddedPostgres
from tests.patience import WAIT_S
from tests.recovery.kill_client import AHEAD_MAX

ROOT = Path(__file__).resolve().parents[2]

Kill = Callable[[], None]
T = TypeVar("T")


class ClientProcess:
    """`kill_client.py`, started again after every kill until it is told to stop."""

    def __init__(self, home: Path, per_s: int) -> None:
        self._log = home / "client.log"
        self._stop = home / "client.stop"
        self.notes = home / "client.notes"
        options = [str(home), str(per_s), str(self.notes), str(self._stop)]
        self._argv = [sys.executable, "-m", "tests.recovery.kill_client", *options]
        self._start()

    def kill_9(self) -> None:
        """Kill it and start the next one."""
        self._process.kill()
        self._process.wait()
        self._start()

    def acknowledged(self) -> int:
        """How many payments it has noted so far."""
        return self.notes.read_bytes().count(b"\n") if self.notes.exists() else 0

    def until_acknowledged(self, count: int) -> None:
        """Wait for so many notes."""
        wait_for(lambda: self.acknowledged() >= count, self._process, self._log)

    def finish(self) -> None:
        """Tell it to stop, and wait until everything it submitted is noted: it, and all that one before it, which was
        killed, may have sent without noting it."""
        self.until_acknowledged(self.acknowledged() + AHEAD_MAX)
        self._stop.touch()
        assert self._process.wait(WAIT_S) == 0, self._log.read_text()[-2_000:]

    def end(self) -> None:
        """Whatever it does."""
        self._process.kill()
        self._process.wait()

    def _start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._argv, stdout=log, stderr=log, cwd=ROOT)


def wait_for(holds: Callable[[], bool], process: "subprocess.Popen[bytes]", log: Path) -> None:
    """Until something holds, as long as the process lives."""
    deadline = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < deadline, f"nothing moves any more: {log.read_text()[-2_000:]}"
        try:
            code = process.wait(0.02)
        except subprocess.TimeoutExpired:
            continue
        raise AssertionError(f"the client ended with {code}: {log.read_text()[-2_000:]}")


def deck(victims: dict[str, Kill], times: int, chance: Random) -> Iterator[tuple[str, Kill]]:
    """Every victim `times` times, in an order that `chance` chooses."""
    names = [name for name in victims for _ in range(times)]
    chance.shuffle(names)
    return ((name, victims[name]) for name in names)


def kill_process(node: LocalNode, process: str) -> None:
    """SIGKILL to the order or execute process, as soon as it runs."""
    node.wait_running([process], WAIT_S)
    node.kill_9(process)


def kill_postgres(node: LocalNode) -> None:
    """SIGKILL to the postmaster of a node's embedded Postgres; its children end with it."""
    os.kill(_until(lambda: EmbeddedPostgres(node.home.postgres).pid), signal.SIGKILL)


def kill_worker(node: LocalNode, chance: Random) -> None:
    """SIGKILL to one of the execute process' verdict workers."""
    os.kill(chance.choice(_until(lambda: verdict_workers(node))), signal.SIGKILL)


def verdict_workers(node: LocalNode) -> list[int]:
    """The worker processes of a node: the execute process' descendants that judge."""
    status = node.status("execute")
    if status is None or not status.is_alive:
        return []
    below = [pid for child in _children_of(status.pid) for pid in (child, *_children_of(child))]
    return [pid for pid in below if b"ingest.worker" in _command_line(pid)]


def _until(find: Callable[[], T | None]) -> T:
    """What `find` finds, once it finds something."""
    deadline = time.monotonic() + WAIT_S
    while not (found := find()):
        assert time.monotonic() < deadline, "it does not run"
        time.sleep(0.02)
    return found


def _children_of(pid: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found


def _command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
