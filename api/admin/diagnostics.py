"""A bundle of what a support case needs: how the node is set up and how it does. No key, token or record is in it."""

import json
import os
import platform
import shutil
import tarfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from importlib.metadata import distributions
from io import BytesIO
from pathlib import Path
from typing import Any, Final

from backbone.store import StoreDamaged, StoreReader
from node.home.actions import FILE_BYTES_MAX
from node.home.context import NodeContext
from node.home.control import ControlFile
from node.home.known_peers import peers
from node.home.layout import Home
from node.home.status import statuses
from node.metrics.page import metrics_page
from node.settings.redaction import MASK, changed, shown
from node.settings.tree import Settings
from node.supervision.health import health_of
from projections.session.connect import connect
from projections.session.errors import DatabaseUnavailable, DatabaseUnusable, translated

BUNDLES_KEPT: Final = 3
LOG_BYTES_MAX: Final = 4 << 20
FILE_MAX: Final = 8 << 20
FILES_MAX: Final = 1_000

_OPEN_STRINGS: Final = ", ".join(
    f"'{name}'"
    for name in (
        *("DateStyle", "TimeZone", "client_encoding", "default_text_search_config", "lc_messages", "lc_monetary"),
        *("lc_numeric", "lc_time", "listen_addresses", "log_filename", "log_timezone", "search_path"),
        *("shared_preload_libraries", "synchronous_standby_names", "timezone_abbreviations"),
    )
)
_QUERIES: Final[Mapping[str, str]] = {
    "server": "SELECT version(), pg_database_size(current_database()) AS bytes",
    # A string may be a command or a URL, and hold a password; those that cannot are named.
    "settings": f"""SELECT name, CASE WHEN vartype <> 'string' OR name IN ({_OPEN_STRINGS}) THEN setting
        ELSE '{MASK}' END AS setting, source FROM pg_settings WHERE source NOT IN ('default', 'override') ORDER BY 1""",
    "status": "SELECT * FROM api.status",
    "tables": """SELECT relname, n_live_tup, n_dead_tup, seq_scan, idx_scan, last_autovacuum, last_autoanalyze,
        pg_total_relation_size(relid) AS bytes FROM pg_stat_user_tables ORDER BY bytes DESC LIMIT 200""",
    "activity": """SELECT application_name, state, wait_event_type, wait_event, now() - xact_start AS since, count(*)
        FROM pg_stat_activity WHERE datname = current_database() GROUP BY 1, 2, 3, 4, 5""",
    "locks": "SELECT mode, granted, count(*) FROM pg_locks GROUP BY 1, 2",
}


def make_bundle(home: Home, settings: Settings, database_url: str, number: int) -> Path:
    """`diagnostics-NUMBER.tar.gz` in the home; only the newest bundles stay. What cannot be had is said in its place.

    Raises: OSError.
    """
    home.diagnostics.mkdir(mode=0o700, exist_ok=True)
    bundle = home.diagnostics / f"diagnostics-{number}.tar.gz"
    beside = bundle.with_suffix(".part")
    with tarfile.open(beside, "w:gz") as archive:
        for name, content in _parts(home, settings, database_url):
            entry = tarfile.TarInfo(f"{bundle.name.partition('.')[0]}/{name}")
            entry.size, entry.mtime, entry.mode = len(content), int(time.time()), 0o600
            archive.addfile(entry, BytesIO(content))
    beside.chmod(0o600)
    beside.replace(bundle)
    kept = sorted(home.diagnostics.glob("diagnostics-*.tar.gz"), key=lambda file: file.stat().st_mtime_ns)
    for old in kept[:-BUNDLES_KEPT]:
        old.unlink()
    return bundle


def _parts(home: Home, settings: Settings, database_url: str) -> Iterator[tuple[str, bytes]]:
    """(name, content) of each file."""
    makers: dict[str, Callable[[], Any]] = {
        "settings.json": lambda: {"changed": changed(settings), "all": shown(settings)},
        "machine.json": lambda: _machine(home),
        "packages.json": _packages,
        "health.json": lambda: health_of(home, settings).document(),
        "control.json": lambda: asdict(ControlFile(home.control_file).read()),
        "processes.json": lambda: _processes(home),
        "chain.json": lambda: _chain(NodeContext.at(home, settings)),
        "peers.json": lambda: [asdict(row) for row in peers(NodeContext.at(home, settings))],
        "folders.json": lambda: _folders(home),
        "postgres.json": lambda: _database(database_url),
    }
    for name, make in makers.items():
        yield name, _json(make)
    yield "metrics.txt", metrics_page(home, b"")[:FILE_MAX]
    yield "actions.jsonl", _tail(home.actions_file, min(FILE_MAX, FILE_BYTES_MAX))
    if settings.logging.file is not None:
        yield "log.jsonl", _tail(home.resolve(settings.logging.file), LOG_BYTES_MAX)


def _json(make: Callable[[], Any]) -> bytes:
    try:
        found = make()
    except (OSError, ValueError, StoreDamaged, DatabaseUnavailable, DatabaseUnusable) as error:
        found = {"missing": str(error)}
    return json.dumps(found, indent=1, default=str).encode()[:FILE_MAX]


def _machine(home: Home) -> dict[str, Any]:
    disk = shutil.disk_usage(home.path)
    return {
        "python": platform.python_version(),
        "system": platform.platform(),
        "processors": os.cpu_count(),
        "load": os.getloadavg(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "disk": disk._asdict(),
        "time_ms": time.time_ns() // 1_000_000,
    }


def _packages() -> dict[str, str]:
    return dict(sorted((each.metadata["Name"], each.version) for each in distributions()))


def _processes(home: Home) -> dict[str, Any]:
    return {each.process: asdict(each) for each in statuses(home.run)[:FILES_MAX]}


def _chain(context: NodeContext) -> dict[str, Any]:
    genesis = context.genesis
    with StoreReader(context.home.store) as store:
        final_height = store.last_height()
    return {
        "chain": genesis.chain,
        "genesis_digest": genesis.digest.hex(),
        "protocol_version": genesis.protocol_version,
        "validators": [{"name": each.name, "power": each.power} for each in context.committees.current.members],
        "limits": asdict(genesis.limits),
        "final_height": final_height,
    }


def _folders(home: Home) -> dict[str, Any]:
    """Names and sizes of what lies in the home; nothing of the database's own files and of keys."""
    found: dict[str, Any] = {}
    for path in sorted(home.path.rglob("*"))[: 100 * FILES_MAX]:
        relative = path.relative_to(home.path)
        if relative.parts[0] not in ("pg", "keys") and len(found) < FILES_MAX and path.is_file():
            found[str(relative)] = path.stat().st_size
    return found


def _database(url: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    with translated(), connect(url, "momus admin") as connection:
        connection.execute("SET statement_timeout = '5s'")
        for name, query in _QUERIES.items():
            cursor = connection.execute(query.encode())
            columns = [column.name for column in cursor.description or ()]
            found[name] = [dict(zip(columns, row, strict=True)) for row in cursor]
    return found


def _tail(file: Path, size: int) -> bytes:
    try:
        with file.open("rb") as stream:
            stream.seek(max(0, file.stat().st_size - size))
            return stream.read(size)
    except OSError as error:
        return f"missing: {error}\n".encode()
