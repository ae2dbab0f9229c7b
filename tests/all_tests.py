"""All tests, as `make test` runs them: in two halves side by side, for two cores.

`python -m tests.all_tests`: prints what the tests of whole nodes say as they go on, and what the others said when both
have ended. Exit code 0 if all passed. `pytest` alone runs the same tests one after the other.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from tempfile import TemporaryFile
from typing import IO, Final

NODES: Final = ("tests/integration",)
OTHERS: Final = (
    "tests/unit",
    "tests/scenarios",
    "tests/simulation",
    "tests/contract",
    "tests/recovery",
    "tests/faults",
    "tests/commands",
)


def main() -> int:
    """Run both; the exit code."""
    with TemporaryFile("w+") as said:
        others, nodes = _start(OTHERS, said), _start(NODES, None)
        codes = (nodes.wait(), others.wait())
        said.seek(0)
        print(f"\n{said.read()}", flush=True)
    return max(map(abs, codes))


def _start(folders: Sequence[str], out: IO[str] | None) -> subprocess.Popen[bytes]:
    errors = None if out is None else subprocess.STDOUT
    # Processes of nodes start by the hundred: each would compile all of the project for itself.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return subprocess.Popen([sys.executable, "-m", "pytest", *folders], stdout=out, stderr=errors, env=environment)


if __name__ == "__main__":
    sys.exit(main())
