"""The drills process: runs a drill on schedule, as long as the node runs, and keeps a page of the results."""

import os
import secrets
import time
from typing import Final

import structlog

from ledger.errors import Halt, Unavailable
from node import wiring
from node.home.context import NodeContext
from node.metrics.values import Values
from node.metrics.writing import writing
from node.process.process import Process
from node.recovery.drill import Drill
from node.recovery.drill_page import write_page
from node.recovery.drill_report import FAILED
from projections.session.connect import connect
from projections.session.errors import translated

RETRY_S: Final = 60.0
NICENESS: Final = 19
_SINCE: Final = "SELECT extract(epoch FROM now() - max(started_at)) FROM ledger.drills"
_log = structlog.get_logger()


def run_drills(process: Process) -> None:
    """Until SIGTERM: a drill whenever `drills.every_ms` are over since the last one, also one by hand.

    What keeps a drill from running is logged, and the drill retried; only the verdict says that a drill failed.
    """
    os.nice(NICENESS)
    context = process.context()
    process.on_running()
    with writing(process.home, "drills", process.settings.metrics, Values("drills")):
        _drill_until_stopped(process, context)


def _drill_until_stopped(process: Process, context: NodeContext) -> None:
    while not process.stop.is_set():
        try:
            wait_s = _due_in_s(process)
            if wait_s <= 0:
                _drill(process, context)
                continue
        except (Unavailable, Halt, OSError) as error:
            _log.warning("drill postponed", reason=str(error))
            wait_s = RETRY_S
        process.stop.wait(min(wait_s, RETRY_S))


def _due_in_s(process: Process) -> float:
    """Seconds; 0 or less: now. Without a drill yet, one is due after the first period of the chain's database."""
    every_s = process.settings.drills.every_ms / 1000
    with translated(), connect(wiring.database_url(process.home, process.settings)) as connection:
        row = connection.execute(_SINCE).fetchone()
    since_s = None if row is None or row[0] is None else float(row[0])
    if since_s is None:
        began = process.home.genesis_file.stat().st_mtime
        since_s = time.time() - began
    return every_s - since_s


def _drill(process: Process, context: NodeContext) -> None:
    report = Drill(context, None, secrets.randbits(32)).run()
    tell = _log.error if report.verdict == FAILED else _log.info
    facts = {"source": report.source, "height": report.height, "seconds": report.seconds, "differing": report.differing}
    tell("drill", verdict=report.verdict, **facts)
    write_page(process.home.drills_page, context.genesis.chain, wiring.database_url(process.home, process.settings))
