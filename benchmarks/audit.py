"""What `momus audit` takes, by the size of the state: its time, its own computing, and the most memory that it had.

python -m benchmarks.audit [--objects N,N,..] [--smallest] [--scratch FOLDER]

A node makes the objects itself and is stopped; then its home is audited, with and without replay.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.large_state import Site
from benchmarks.processes import memory_bytes, processor_s
from benchmarks.smallest import SMALLEST, run_to_its_end
from lab.demo.scratch import fresh_scratch

LOOK_S: Final = 0.05
MIB: Final = 1 << 20


@dataclass(slots=True)
class Audited:
    """One run; `own_s` is computing of the command alone: without Postgres, and the workers of a replay."""

    seconds: float
    own_s: float = 0.0
    memory_bytes: int = 0


def audited(home: Path, *options: str) -> Audited:
    """Audit a home. Raises: SystemExit, where it finds anything."""
    began = time.monotonic()
    process = subprocess.Popen([sys.executable, "-P", "-m", "momus", "audit", "--home", str(home), *options])
    found = Audited(0.0)
    while process.poll() is None:
        found.memory_bytes = max(found.memory_bytes, memory_bytes(process.pid, "VmHWM"))
        with suppress(OSError):
            found.own_s = processor_s(process.pid)
        time.sleep(LOOK_S)
    found.seconds = time.monotonic() - began
    if process.returncode:
        raise SystemExit(f"the audit of {home} ended with {process.returncode}")
    return found


def main(argv: Sequence[str] | None = None) -> None:
    """A node of each size, and a line for each audit."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--objects", default="20000,1000000")
    parser.add_argument("--scratch", type=Path, default=Path(".bench-audit"))
    parser.add_argument("--smallest", action="store_true", help=SMALLEST)
    given = parser.parse_args(argv)
    if given.smallest:
        given.objects = "20"
    scratch = fresh_scratch(given.scratch)
    for count in map(int, given.objects.split(",")):
        with ExitStack() as stack:
            site = Site(scratch, f"objects-{count}", 1 << 40, stack)
            print(f"{count:,} objects, made in {site.fill(count):,.0f} s", flush=True)
        for options in (["--no-replay"], []):
            run = audited(site.node.home.path, *options)
            print(
                f"  momus audit {' '.join(options):11}  {run.seconds:6.1f} s, {run.own_s:6.1f} s of its own computing, "
                f"at most {run.memory_bytes / MIB:,.0f} MiB",
                flush=True,
            )


if __name__ == "__main__":
    run_to_its_end(main)
