"""Postgres' programs: those of the wheel or, where the server's user cannot reach them, a copy that it can.

The wheel lies where its user put it, and that may be a folder closed to all others, such as root's own home. What
somebody closed stays closed.
"""

import fcntl
import os
import shutil
import subprocess
from collections.abc import Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Final

from node.embedded.postgres_files import PACKAGE, Account, PostgresUnusable, programs

COPIES: Final = Path("/var/lib/momus")
_CAN_RUN: Final = '[ -r "$1/../share/postgresql/postgres.bki" ] && "$1/initdb" --version && "$1/postgres" --version'


@cache
def programs_for(account: Account) -> Path:
    """`programs`, where this user can run them. Raises: PostgresUnusable."""
    own = programs()
    if account.uid is None or _can_run(own, account):
        return own
    copy = COPIES / f"postgres-{version(PACKAGE)}"
    package = own.parents[1]
    # Beside it lie the libraries that its programs look for there.
    parts = [own.parent, *package.parent.glob(f"{package.name}.libs")]
    try:
        _have_copy(package.parent, parts, copy)
    except OSError as error:
        raise PostgresUnusable(
            f"The server's user cannot reach {own}, and no copy could be made ({error}): let it pass through the "
            "folders above, or give the URL of a Postgres 18 as postgres.url."
        ) from error
    return copy / own.relative_to(package.parent)


def _can_run(folder: Path, account: Account) -> bool:
    as_user = {"user": account.uid, "group": account.gid, "extra_groups": ()}
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    done = subprocess.run(["sh", "-c", _CAN_RUN, "sh", str(folder)], cwd="/", **quiet, **as_user)  # type: ignore[call-overload]
    return bool(done.returncode == 0)


def _have_copy(root: Path, parts: Sequence[Path], copy: Path) -> None:
    """Of folders below `root`: there whole or not at all, however many make it and whoever of them is killed."""
    if copy.exists():
        return
    _open_to_all(COPIES)
    lock = os.open(COPIES / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not copy.exists():
            fresh = copy.with_name(f".{copy.name}.new")
            shutil.rmtree(fresh, ignore_errors=True)
            for part in parts:
                shutil.copytree(part, fresh / part.relative_to(root), symlinks=True)
            for path in [fresh, *fresh.rglob("*")]:
                if not path.is_symlink():
                    path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
            os.sync()
            fresh.rename(copy)
    finally:
        os.close(lock)


def _open_to_all(folder: Path) -> None:
    """Made by us, and of us alone: a folder that is there already stays as it is."""
    try:
        folder.mkdir()
    except FileExistsError:
        return
    folder.chmod(0o755)
