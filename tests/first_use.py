"""Many processes at once ask for the server's user on a machine that has none: `python -m tests.first_use WHAT`.

Prints JSON. To be run on a fresh machine (tests.fresh_machine), since it adds and removes users.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from node.embedded.postgres_files import USER, PostgresUnusable, server_account

SBIN = "/usr/sbin:/sbin"
FILES = [Path("/etc") / name for name in ("passwd", "group", "shadow", "gshadow")]
AT_ONCE = 4
_USERADD = """#!/bin/sh
echo $$ >> "{folder}/calls"
echo $$ > "{folder}/started"
read go < "{folder}/go"
exec {real} "$@"
"""


def uid_of_entry() -> int | None:
    """As the file says, once."""
    found = [line.split(":") for line in FILES[0].read_text().splitlines() if line.startswith(f"{USER}:")]
    return int(found[0][2]) if len(found) == 1 else None


def asking() -> tuple[int, int]:
    """A process that asks, and where its answer is to be read."""
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            told: Any = server_account().uid
        except PostgresUnusable as error:
            told = str(error)
        os.write(theirs, json.dumps(told).encode())
        os._exit(0)
    os.close(theirs)
    return pid, ours


def answer(pid: int, where: int) -> Any:
    """What it was told, when it has ended."""
    with os.fdopen(where, "rb") as stream:
        said = stream.read()
    os.waitpid(pid, 0)
    return json.loads(said) if said else None


@contextmanager
def no_user() -> Iterator[None]:
    """The user is not there, and gone again afterwards."""
    kept = {file: file.read_bytes() for file in FILES if file.exists()}
    try:
        yield
    finally:
        for file, content in kept.items():
            file.write_bytes(content)
        for file in Path("/etc").glob("*.lock"):
            file.unlink()


def at_once(rounds: int) -> list[list[int | None]]:
    """Of each round: the ids that they were given, and at last the one that the file has."""
    seen = []
    for _ in range(rounds):
        with no_user():
            asked = [asking() for _ in range(AT_ONCE)]
            seen.append([*(answer(*each) for each in asked), uid_of_entry()])
    return seen


def killed(victims: str) -> dict[str, Any]:
    """One asks and is killed while `useradd` is at work, or that is, or both; another asks meanwhile."""
    real = _useradd()
    with no_user(), TemporaryDirectory() as made:
        folder = Path(made)
        for name in ("started", "go"):
            os.mkfifo(folder / name)
        started, go = (os.open(folder / name, os.O_RDWR) for name in ("started", "go"))
        program = folder / "useradd"
        program.write_text(_USERADD.format(folder=folder, real=real))
        program.chmod(0o755)
        os.environ["PATH"] = f"{folder}:{os.environ['PATH']}"
        first = asking()
        adding = int(os.read(started, 20))
        for name, pid in (("caller", first[0]), ("useradd", adding)):
            if name in victims:
                os.kill(pid, signal.SIGKILL)
        second = asking()
        while not _waits(second[0]) and not _is_second_call(folder) and victims == "caller":
            os.sched_yield()
        os.write(go, b"\n\n\n")
        told = answer(*second)
        answer(*first)
        calls = len((folder / "calls").read_text().split())
        return {"told": told, "entry": uid_of_entry(), "calls": calls}


def _useradd() -> str | None:
    return shutil.which("useradd", path=f"{os.environ['PATH']}:{SBIN}")


def _is_second_call(folder: Path) -> bool:
    return len((folder / "calls").read_text().split()) > 1


def _waits(pid: int) -> bool:
    """For a lock that another holds."""
    return any("->" in line and f" {pid} " in line for line in Path("/proc/locks").read_text().splitlines())


def group_alone() -> None:
    """As a killed `useradd` may leave it."""
    with FILES[1].open("a") as file:
        file.write(f"{USER}:x:990:\n")


def stale_locks() -> None:
    """As killed ones leave them: of a process that is gone."""
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    for name in ("passwd", "group", "shadow", "gshadow"):
        (Path("/etc") / f"{name}.lock").write_text(f"{pid}\0")


def no_program() -> None:
    """Nobody can add users here."""
    subprocess.run(["mount", "--bind", "/dev/null", str(_useradd())], check=True)


def no_sbin() -> None:
    """As for who became root without a login shell."""
    path = os.environ["PATH"].split(":")
    os.environ["PATH"] = ":".join(folder for folder in path if not folder.endswith("sbin"))


def other_root() -> None:
    """Somebody gave that name to root."""
    with FILES[0].open("a") as file:
        file.write(f"{USER}:x:0:0::/root:/bin/sh\n")


STATES: dict[str, Callable[[], None]] = {
    made.__name__: made for made in (group_alone, stale_locks, no_program, no_sbin, other_root)
}


def in_state(name: str) -> dict[str, Any]:
    """What one is told on a machine in this state."""
    with no_user():
        path = os.environ["PATH"]
        STATES[name]()
        told = answer(*asking())
        os.environ["PATH"] = path
        return {"told": told, "entry": uid_of_entry()}


if __name__ == "__main__":
    what, given = sys.argv[1:3]
    print(json.dumps(at_once(int(given)) if what == "at_once" else {"killed": killed, "state": in_state}[what](given)))
