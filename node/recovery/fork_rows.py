"""After a halt over a fork of the state: which rows of this node's database are not those that its own log leads to.

The database is built a second time, beside the live one, by the lightest recovery path whose beginning lies below the
fork, and the two are compared row for row. What differs was altered: by hand, or by a fault of this machine. Where
nothing differs, this node's software itself comes to this state, and only another validator's rows can show what
differs.
"""

import json
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Final

from backbone.store.files import write_durably
from node import wiring
from node.home.context import NodeContext
from node.home.evidence import FORK, ROWS_OF_FORK, fork_reports
from node.home.locks import recovering
from node.recovery.rebuild import Rebuilt, RecoverySources, rebuild
from node.recovery.replay import OnStep
from node.wiring.databases import beside, drop_database, renew_database, running_postgres
from projections.audit.findings import Finding, Findings
from projections.audit.history import compare_history
from projections.flush.cursor import read_cursor
from projections.maintenance.pruning import oldest_height
from projections.session.connect import connect
from projections.session.errors import translated

SCRATCH: Final = "momus_fork"
_ALTERED: Final = (
    "These rows are not those that this node's own log leads to: they were altered, by hand or by a fault of this "
    "machine. `momus recover` builds the database anew, then the node goes on with the others."
)
_ALIKE: Final = (
    "No row differs: this node's own software comes to this state, again. Compare its version with the other "
    "validators'. Which rows they have shows `momus at --height {height}`, here and there."
)


@dataclass(frozen=True, slots=True)
class ForkRows:
    """`count` rows differ, of which the first are named; all as of `compared_height`, of history what lies above
    `above`."""

    height: int
    compared_height: int
    source: str
    above: int
    count: int
    rows: tuple[Finding, ...]
    says: str


def rows_of_fork(context: NodeContext, on_step: OnStep) -> tuple[Path, ForkRows] | None:
    """Name the rows of the newest fork, in a file beside its report; None where none was reported, or that is done.

    Raises: RecoveryFailed, DatabaseUnavailable, DatabaseUnusable, PostgresUnusable, SnapshotStoreUnavailable, OSError.
    """
    home, settings = context.home, context.settings
    reports = fork_reports(home.evidence)
    if not reports:
        return None
    file = reports[-1].with_name(reports[-1].name.replace(FORK, ROWS_OF_FORK, 1))
    if file.exists():
        return None
    height = int(json.loads(reports[-1].read_bytes())["height"])
    with recovering(home), running_postgres(home, settings):
        found = _compared(context, height, on_step)
    write_durably(file, json.dumps({"what": ROWS_OF_FORK, **asdict(found)}, indent=1).encode() + b"\n")
    return file, found


def _compared(context: NodeContext, height: int, on_step: OnStep) -> ForkRows:
    url = wiring.database_url(context.home, context.settings)
    findings = Findings()
    with translated(), connect(url, "momus fork") as live, live.transaction():
        live.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        cursor, floor = read_cursor(live), oldest_height(live)
        reached = 0 if cursor is None else cursor.height
        spare = context.home.path / "fork-store"
        sources = RecoverySources.of_home(context, spare, snapshot_max=height - 1, on_step=on_step)
        try:
            rebuilt = _rebuilt(sources, url, reached)
            above = max(floor, rebuilt.above)
            with connect(beside(url, SCRATCH)) as replayed, replayed.transaction():
                compare_history(live, replayed, above, findings)
        finally:
            drop_database(url, SCRATCH)
    says = _ALTERED if findings.count else _ALIKE.format(height=height)
    return ForkRows(height, reached, rebuilt.source, above, findings.count, tuple(findings.kept), says)


def _rebuilt(sources: RecoverySources, url: str, height: int) -> Rebuilt:
    renew = partial(renew_database, url, SCRATCH)
    renew()
    return rebuild(sources, beside(url, SCRATCH), height, renew)
