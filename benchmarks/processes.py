"""What Linux says of a node's processes: memory, computing, and the bound that they run under."""

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lab.demo.local_node import LocalNode

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
KIB = 1024


@contextmanager
def bounded(data_bytes: int) -> Iterator[None]:
    """Every process started inside, and what these start, may have so much of private writable memory (RLIMIT_DATA).

    That is heap, private mappings and the stacks of threads, touched or not; not files, nor memory that is shared. One
    that asks for more is refused it: a MemoryError, which ends a process of a node.
    """
    before = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (data_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)


def pid_of(node: LocalNode, process: str) -> int:
    """Of a process that has a status file."""
    status = node.status(process)
    assert status is not None, f"{process} has not said anything"
    return status.pid


def children(pid: int) -> list[int]:
    """Those that the threads of a process started, and that run; a thread that ends meanwhile has none."""
    found: list[int] = []
    for file in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(FileNotFoundError, ProcessLookupError):
            found.extend(map(int, file.read_text().split()))
    return found


def processor_s(pid: int) -> float:
    """Computing of one process since its start, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def family_s(pid: int) -> float:
    """Computing of a process and of all that it started, also of those that have ended and were waited for."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11:15])) / TICKS_PER_S + sum(map(family_s, children(pid)))


def memory_bytes(pid: int, field: str = "VmRSS") -> int:
    """A field of /proc/PID/status: VmRSS, VmHWM (the most that VmRSS was), VmData (what RLIMIT_DATA bounds); 0 where
    the process has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * KIB for line in lines if line.startswith(f"{field}:")), 0)


def private_bytes(pid: int) -> int:
    """Of what the process has in memory, what is not shared with others: a backend of Postgres counts without the
    shared buffers."""
    return max(0, memory_bytes(pid) - memory_bytes(pid, "RssShmem") - memory_bytes(pid, "RssFile"))


def limit_bytes(pid: int) -> int:
    """The bound that RLIMIT_DATA puts on a process."""
    return resource.prlimit(pid, resource.RLIMIT_DATA)[0]
