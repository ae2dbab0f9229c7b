"""Who can be killed in a running node, and how: SIGKILL by process id, at a moment that a seed chooses."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

from momus.demo.local_node import LocalNode
from node.postgres import EmbeddedPostgres

ROOT = Path(__file__).resolve().parents[2]


def children_of(pid: int) -> list[int]:
    """Process ids of the living children of a process."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found


def verdict_workers(execute_pid: int) -> list[int]:
    """The worker processes of an execute process: those of its descendants that Python's multiprocessing started."""
    below = [pid for child in children_of(execute_pid) for pid in (child, *children_of(child))]
    return [pid for pid in below if b"spawn_main" in _command_line(pid) or b"forkserver" in _command_line(pid)]


def _command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


class ClientProcess:
    """`kill_client.py`, started again and again until its payments are through."""

    def __init__(self, home: Path, count: int, per_s: int, notes: Path) -> None:
        self._argv = [sys.executable, "-m", "tests.recovery.kill_client", str(home), str(count), str(per_s), str(notes)]
        self._log = home / "client.log"
        self.start()

    def start(self) -> None:
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(self._argv, stdout=log, stderr=log, cwd=ROOT)

    def kill_9(self) -> None:
        self.process.kill()
        self.process.wait()
        self.start()

    def finish(self, timeout_s: float) -> None:
        """Until it has ended by itself."""
        code = self.process.wait(timeout_s)
        assert code == 0, self._log.read_text()[-2_000:]


def deck(
    victims: dict[str, Callable[[], None]], times: int, chance: Random
) -> Iterator[tuple[str, Callable[[], None]]]:
    """Every victim `times` times, in an order that `chance` chooses."""
    names = [name for name in victims for _ in range(times)]
    chance.shuffle(names)
    return ((name, victims[name]) for name in names)


def kill_postgres(node: LocalNode) -> None:
    """SIGKILL to the postmaster of a node's embedded Postgres; its children end with it."""
    pid = EmbeddedPostgres(node.home.postgres).pid
    if pid is not None:
        os.kill(pid, signal.SIGKILL)


def kill_worker(node: LocalNode, chance: Random) -> None:
    """SIGKILL to one of the execute process' verdict workers."""
    status = node.status("execute")
    assert status is not None
    workers = verdict_workers(status.pid)
    if workers:
        os.kill(chance.choice(workers), signal.SIGKILL)
