"""`momus status`: what the node's processes do, how far the chain and this node are."""

import os
import time
from pathlib import Path
from typing import Any

import psycopg
import typer

from backbone.store import StoreReader
from cli.options import DEFAULT_HOME, HomeOption, JsonOption
from cli.output import results, show, table
from cli.typed import remedies
from ledger.genesis import Genesis
from node import wiring
from node.home import exits
from node.home.final_heads import final_heads
from node.home.layout import Home
from node.home.progress import ProgressFile
from node.home.status import StatusFile
from node.ordering.ordered import Ordered
from node.settings.tree import Settings
from node.supervision.health import health_of
from node.supervision.verdict import span
from projections.session.connect import connect
from projections.session.conninfo import url_without_secrets

PROCESSES = ("supervisor", "order", "execute", "postgres")


def command(home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Show the node: its processes, the last final height, the height in SQL, log heads and lag.

    --json prints chain, genesis_digest, home, database_url (without a password), processes {name: {state, pid,
    since_ms, detail, alive}}, final_height, executed_height, sql_height (null where the database does not answer),
    lag_blocks, lag_records, ready, reasons (sentences why it is not), final_age_ms, waiting_records, heads [{partition,
    incarnation, end_offset, chain_digest}]. Exit code 3: the node has halted.
    """
    place = Home(home.absolute())
    settings = place.settings(dict(os.environ))
    facts = status_facts(place, settings, place.genesis())
    if as_json:
        show(True, facts, "")
    else:
        _print(facts, place.path)
    if facts["processes"]["supervisor"]["state"] == "halted":
        raise typer.Exit(exits.HALT)


def status_facts(home: Home, settings: Settings, genesis: Genesis) -> dict[str, Any]:
    """What `--json` prints. Raises: StoreDamaged, OSError."""
    with StoreReader(home.store) as store:
        final_height, heads = store.last_height(), final_heads(store, genesis)
        progress = ProgressFile(home.progress_file)
        executed_height, executed_records = progress.read()
        progress.close()
        ordered = Ordered(store, genesis, executed_height)
    others = sorted(file.stem for file in home.run.glob("*.json") if file.stem not in PROCESSES)
    return {
        "chain": genesis.chain,
        "genesis_digest": genesis.digest.hex(),
        "home": str(home.path),
        "validator": settings.validator,
        "backbone": settings.log.kind,
        "database_url": url_without_secrets(wiring.database_url(home, settings)),
        "processes": {name: _process(home, name) for name in (*PROCESSES, *others)},
        "final_height": final_height,
        "executed_height": executed_height,
        "sql_height": _sql_height(home, settings),
        "lag_blocks": max(0, final_height - executed_height),
        "lag_records": max(0, ordered.total() - ordered.count(executed_height, executed_records)),
        **health_of(home, settings).document(),
        "heads": [
            {
                "partition": head.partition,
                "incarnation": head.incarnation,
                "end_offset": head.end_offset,
                "chain_digest": head.chain_digest.hex(),
            }
            for head in heads
        ],
    }


def _process(home: Home, name: str) -> dict[str, Any]:
    """What a process said last."""
    status = StatusFile(home.status_file(name)).read()
    if status is None:
        return {"state": "never started", "pid": None, "since_ms": None, "detail": "", "alive": False}
    return {
        "state": status.seen,
        "pid": status.pid,
        "since_ms": status.since_ms,
        "detail": status.detail,
        "alive": status.is_alive,
    }


def _sql_height(home: Home, settings: Settings) -> int | None:
    try:
        with connect(wiring.database_url(home, settings), "momus client") as database:
            found = database.execute("select height from api.status").fetchone()
            return None if found is None else int(found[0])
    except psycopg.Error:
        return None


def _print(facts: dict[str, Any], home: Path = DEFAULT_HOME) -> None:
    now_ms = time.time_ns() // 1_000_000
    results.print(f"chain {facts['chain']}, validator {facts['validator']}, log {facts['backbone']}", markup=False)
    results.print(f"database {facts['database_url']}", markup=False)
    rows = []
    for name, process in facts["processes"].items():
        since = "" if process["since_ms"] is None else f"{(now_ms - process['since_ms']) / 1000:.0f} s"
        pid = str(process["pid"]) if process["alive"] else ""
        rows.append((name, process["state"], pid, since, process["detail"]))
    results.print(table(["process", "state", "pid", "since", ""], rows))
    for command in remedies(" ".join(process["detail"] for process in facts["processes"].values()), home):
        results.print(f"  {command}", markup=False)
    sql_height = "the database does not answer" if facts["sql_height"] is None else str(facts["sql_height"])
    results.print(f"final height {facts['final_height']}, executed {facts['executed_height']}, in SQL {sql_height}")
    results.print(f"lag {facts['lag_blocks']} blocks, {facts['lag_records']} records")
    age_ms, waiting = facts["final_age_ms"], facts["waiting_records"]
    age = "none" if age_ms is None else f"{span(age_ms)} ago"
    results.print(f"last final block {age}, records that wait {'unknown' if waiting is None else waiting}")
    results.print("ready" if facts["ready"] else "not ready:")
    for sentence in facts["reasons"]:
        results.print(sentence, markup=False)
    heads = [(str(h["partition"]), str(h["end_offset"]), h["chain_digest"][:16]) for h in facts["heads"]]
    results.print(table(["partition", "end offset", "chain digest"], heads))
