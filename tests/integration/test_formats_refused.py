"""A home whose files are of an older or a newer format, or damaged, is refused with a sentence that names the file."""

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from struct import Struct
from tempfile import TemporaryDirectory
from typing import Any
from zlib import crc32

import psycopg
import pytest

from backbone.store.format import HEADER_SIZE
from cli.main import run_line
from lab.demo.local_node import ALONE, LocalNode
from ledger.formats import EMBEDDED_LOG, GENESIS, JOURNAL, KEY_FILE, STORE
from node.home.layout import Home
from node.wiring import database_url
from node.wiring.databases import running_postgres
from projections.maintenance.migrate import newest_revision
from tests.command_here import momus
from tests.patience import WAIT_S

pytestmark = [pytest.mark.postgres, pytest.mark.processes]

U32 = Struct(">I")
Change = Callable[[Path], None]
KEPT = "aside/00000-0000000000-00000000000000000000-00000000000000000001-" + "0" * 64 + ".run"


def field(name: str, value: object) -> Change:
    def change(file: Path) -> None:
        file.write_text(json.dumps(json.loads(file.read_text()) | {name: value}))

    return change


def segment(number: int) -> Change:
    """Its header, of a format."""

    def change(file: Path) -> None:
        data = bytearray(file.read_bytes())
        U32.pack_into(data, 8, number)
        U32.pack_into(data, HEADER_SIZE - 4, crc32(data[: HEADER_SIZE - 4]))
        file.write_bytes(data)

    return change


def journal(number: int) -> Change:
    def change(file: Path) -> None:
        data = bytearray(file.read_bytes())
        (length,) = U32.unpack_from(data, 4)
        U32.pack_into(data, 17, number)
        U32.pack_into(data, 8, crc32(data[12 : 12 + length]))
        file.write_bytes(data)

    return change


def topic(number: int) -> Change:
    def change(file: Path) -> None:
        with sqlite3.connect(file) as connection:
            connection.execute(f"PRAGMA user_version={number}")
        connection.close()

    return change


def bytes_at(place: int, data: bytes) -> Change:
    def change(file: Path) -> None:
        found = bytearray(file.read_bytes())
        found[place : place + len(data)] = data
        file.write_bytes(found)

    return change


def whole(data: bytes) -> Change:
    def change(file: Path) -> None:
        file.write_bytes(data)

    return change


def other(name: str, found: int, known: int) -> str:
    """What is said of a file of another format."""
    who = "a newer version" if found > known else "an older version"
    return f"has {name} format {found}, this program has {name} format {known}, and {who} wrote it: run that version"


FORMATS: dict[str, tuple[str, Callable[[int], Change], str, int, int]] = {
    "genesis": ("genesis.json", lambda number: field("format_version", number), "genesis", GENESIS.version, 2),
    "key": ("keys/validator.json", lambda number: field("format", number), "key file", KEY_FILE.version, 3),
    "journal": ("journal/statements", journal, "journal", JOURNAL.version, 2),
    "final blocks": ("store/final/*.seg", segment, "store", STORE.version, 2),
    "records": ("store/partition-00000/*.seg", segment, "store", STORE.version, 2),
    "certificates": ("store/certificates/*.seg", segment, "store", STORE.version, 2),
    "records set aside": (f"store/{KEPT}", segment, "store", STORE.version, 2),
    "embedded log": ("log/momus.dev.transactions.*.sqlite", topic, "embedded log", EMBEDDED_LOG.version, 3),
}
"""By kind: the file, what makes it one of a format, the format's name, its version, the exit code of `momus run`."""

DAMAGED: dict[str, tuple[str, Change, int, str]] = {
    "genesis": ("genesis.json", whole(b"{"), 2, "not a JSON document"),
    "genesis of another protocol": ("genesis.json", field("protocol_version", 2), 2, "protocol_version is 2"),
    "settings": ("momus.toml", whole(b"[["), 2, "cannot be read"),
    "settings of a newer version": ("momus.toml", whole(b"[later]\nx = 1\n"), 2, "later is not a setting"),
    "key": ("keys/validator.json", whole(b"{"), 3, "cannot be read"),
    "key without a format": ("keys/validator.json", whole(b"{}"), 3, "is not a key file"),
    "journal": ("journal/statements", whole(b"nothing"), 3, "The journal is lost"),
    "journal's format": ("journal/statements", bytes_at(19, b"\x07"), 3, "The journal is lost"),
    "final blocks": ("store/final/*.seg", bytes_at(0, b"nothing"), 3, "is damaged at byte 0"),
    "format of final blocks": ("store/final/*.seg", bytes_at(10, b"\x07"), 3, "is damaged at byte 0"),
    "records": ("store/partition-00000/*.seg", bytes_at(0, b"nothing"), 3, "is damaged at byte 0"),
    "store's base": ("store/base.json", whole(b"{}"), 3, "cannot be read"),
    "embedded log": ("log/momus.dev.transactions.*.sqlite", whole(b"nothing" * 1_000), 3, "is damaged"),
    "embedded log without tables": ("log/momus.dev.transactions.*.sqlite", whole(b""), 3, "is damaged"),
    "topic's name": ("log/momus.dev.transactions.topic", whole(b"\xff\xfe"), 3, "is damaged"),
    "log's id": ("log/cluster-id", whole(b""), 3, "is damaged"),
    "database's server": ("pg/PG_VERSION", whole(b"17\n"), 2, "says that Postgres 17 made"),
    "database's server without a version": ("pg/PG_VERSION", whole(b"\xff"), 2, "says that Postgres"),
}
"""By kind: the file, what damages it, the exit code of `momus run`, words."""


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """One that has run, and holds a file of each kind."""
    with TemporaryDirectory(prefix="momus-", ignore_cleanup_errors=True) as folder:
        home = Path(folder) / "home"
        assert run_line(["init", "--home", str(home), "--dev", "--partitions", "1", "--checkpoint-ms", "1"]) == 0
        with LocalNode(home) as node:
            node.wait_running(["order", "execute"], WAIT_S)
            momus("submit", "create-object", "note", '"x"', "--home", str(home))
            momus("submit", "create-object", "note", '"y"', "--home", str(home))
        yield home


def ended(home: Path) -> tuple[int, str]:
    """What `momus run` ends with: its exit code, and the last thing that it says."""
    argv = [sys.executable, "-P", "-m", "momus", "run", "--home", str(home)]
    done = subprocess.run(
        argv, capture_output=True, text=True, timeout=WAIT_S, check=False, env={**os.environ, **ALONE}
    )
    said = done.stderr + done.stdout
    assert "Traceback" not in said, said[-3_000:]
    lines = [line for line in done.stderr.splitlines() if line.startswith("momus:")]
    return done.returncode, (lines or done.stderr.splitlines() or [""])[-1]


def changed(home: Path, pattern: str, change: Change) -> tuple[Path, Callable[[], None]]:
    """The file, after the change, and what undoes it."""
    found = sorted(home.glob(pattern))
    file = found[-1] if found else home / pattern
    before = file.read_bytes() if found else None
    if not found:
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(next(home.glob("store/partition-00000/*.seg")).read_bytes()[:HEADER_SIZE])
    change(file)

    def undo() -> None:
        file.unlink() if before is None else file.write_bytes(before)

    return file, undo


def refused(home: Path, pattern: str, change: Change) -> tuple[int, str, Path]:
    """What comes of a change: exit code, what is said, the file, which stays as it is."""
    file, undo = changed(home, pattern, change)
    try:
        then = file.read_bytes()
        code, said = ended(home)
        assert file.read_bytes() == then, "it may still be read by the version that wrote it"
    finally:
        undo()
    return code, said, file


# An embedded log without a number is of the first format.
OLDER = [kind for kind in FORMATS if kind != "embedded log" or EMBEDDED_LOG.version > 1]


@pytest.mark.parametrize(("kind", "by"), [(kind, 1) for kind in FORMATS] + [(kind, -1) for kind in OLDER])
def test_a_file_of_another_format_is_told_in_one_sentence(home: Path, kind: str, by: int) -> None:
    pattern, make, name, known, expected = FORMATS[kind]
    number = known + by
    code, said, file = refused(home, pattern, make(number))
    assert other(name, number, known) in said
    assert str(file) in said
    assert code == expected


@pytest.mark.parametrize("kind", DAMAGED)
def test_a_damaged_file_is_told_in_one_sentence(home: Path, kind: str) -> None:
    pattern, change, expected, words = DAMAGED[kind]
    code, said, file = refused(home, pattern, change)
    assert words in said
    assert str(file) in said
    assert code == expected


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        (
            "update ledger.alembic_version set version_num = '9999'",
            f"The database momus has table format 9999, this program has table format {newest_revision()}, and a newer",
        ),
        (
            "update ledger.cursor set protocol_version = 2",
            "The database of the chain dev has protocol format 2, this program has protocol format 1, and a newer",
        ),
        ("update ledger.cursor set genesis_digest = sha256('')", "The database was built with genesis_digest e3b0c442"),
    ],
)
def test_a_database_of_another_version_is_told_in_one_sentence(home: Path, statement: str, words: str) -> None:
    before = in_database(home, "select version_num, to_jsonb(c) from ledger.alembic_version, ledger.cursor as c")
    assert before is not None
    revision, cursor = before
    in_database(home, statement)
    try:
        code, said = ended(home)
    finally:
        in_database(home, "update ledger.alembic_version set version_num = %s", revision)
        back = "update ledger.cursor set protocol_version = %s, genesis_digest = %s::bytea"
        in_database(home, back, cursor["protocol_version"], cursor["genesis_digest"])
    assert words in said
    assert code == 3


def in_database(home: Path, statement: str, *values: object) -> tuple[Any, ...] | None:
    """Of a node that does not run."""
    place = Home(home)
    settings = place.settings({})
    with (
        running_postgres(place, settings),
        psycopg.connect(database_url(place, settings), autocommit=True) as connection,
    ):
        cursor = connection.execute(statement.encode(), values)
        return cursor.fetchone() if cursor.description else None


RUNNING = {
    "run/*.json": b"{",
    "run/*.pulse": b"[]",
    "run/*.metrics": b"\xff",
    "run/progress": b"x",
    "run/checkpoints": b"\xff" * 64,
    "run/clock": b"\xff",
    "run/peers": b'{"format": 9}',
    "control.json": b'{"later": 1}',
    "actions.jsonl": b"{",
    f"store/{KEPT}": b"nothing",
    "store/final/notes": b"somebody's",
    "snapshots/00000000000000000007/manifest.json": b"{",
    "evidence/evidence-0000000000000000.json": b"[",
}
"""What a process writes anew, or can do without."""


def test_what_can_be_done_without_stops_nobody(home: Path) -> None:
    for pattern, data in RUNNING.items():
        for file in sorted(home.glob(pattern)) or [home / pattern]:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
    with LocalNode(home, {"MOMUS_ADMIN__LISTEN": "unix"}) as node:
        node.wait_running(["order", "execute", "admin"], WAIT_S)
        momus("submit", "create-object", "note", '"z"', "--home", str(home))
        log = node.log_file.read_text()
    assert "Traceback" not in log
    assert "what operators want cannot be read" in log
    assert str(home / "control.json") in log
    for pattern in RUNNING:
        for file in home.glob(pattern):
            file.unlink()
