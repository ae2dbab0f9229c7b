"""This machine as it was before anybody used it: a private copy of /etc without the server's user, and nothing shared.

Needs namespaces of mounts: for root the system's own, for others below a namespace of users. Where they are refused the
test fails and says so, since what it shows nothing else does.
"""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[1]
ORDINARY: Final = 1000
_MAKE: Final = f"""
set -e
cp -a /etc/. "$1" 2>/dev/null || true
for file in passwd group shadow gshadow; do
    [ ! -f "$1/$file" ] || sed -i -e '/^pgserver:/d' -e '/:x:{ORDINARY}:/d' "$1/$file"
done
rm -f "$1"/*.lock
echo 'stranger:x:{ORDINARY}:{ORDINARY}::/nonexistent:/bin/sh' >> "$1/passwd"
mount --bind "$1" /etc
mount -t tmpfs -o mode=0755 tmpfs /var/lib
shift
exec "$@"
"""


def on_fresh_machine(
    argv: Sequence[str], environment: Mapping[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run a command there as root; its standard output and error are one text. The user ORDINARY is there as well."""
    unshare = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--mount"]
    possible = subprocess.run([*unshare, "true"], capture_output=True, text=True, check=False)
    if possible.returncode:
        pytest.fail(f"Namespaces are refused here, so first use cannot be shown: {possible.stderr.strip()}")
    with TemporaryDirectory(prefix="momus-etc-") as etc:
        return subprocess.run(
            [*unshare, "sh", "-c", _MAKE, "sh", etc, *argv],
            cwd=ROOT,
            env=dict(os.environ if environment is None else environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )


def module_on_fresh_machine(name: str, *arguments: str) -> str:
    """What a module of the tests says there, as root."""
    done = on_fresh_machine([sys.executable, "-m", name, *arguments])
    assert done.returncode == 0, done.stdout
    return done.stdout
