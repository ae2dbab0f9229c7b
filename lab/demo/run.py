"""The demo as a whole: sets up, runs the phases, checks, destroys the database, rebuilds it, checks again."""

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from cli.typed import typed
from client import Client, HeightWatch
from lab.demo.backbone import running_broker
from lab.demo.checks import Checks, check_nodes, views_nullified
from lab.demo.local_committee import LocalCommittee
from lab.demo.local_node import momus
from lab.demo.phases import Flow, OnProgress, Phases
from lab.demo.rebuild import rebuild
from lab.demo.report import Report
from lab.demo.scratch import fresh_scratch
from lab.workload import Plan, StatementError, Totals, read_statements, write_generated
from ledger.keys import PrivateKey
from node.home.layout import Home

ACCOUNTS_FILE = "accounts.csv"
_SEED = 1993
_GENERATED_ACCOUNTS = 1_000
_VALID_FOR_MS = 50 * 60 * 1000
_REST_S = 300.0


@dataclass(frozen=True, slots=True)
class DemoPlan:
    """What to run. `input` None: `rows` generated statements."""

    validators: int
    backbone: str
    input: Path | None
    rows: int
    scratch: Path


def run_demo(plan: DemoPlan, console: Console) -> Report:
    """Raises: DemoFailed, NodeFailed, ScratchTaken, StatementError, WorkloadError, OSError."""
    started_at = time.monotonic()
    if plan.input is not None:
        _check_input(plan.input, plan.scratch)
    scratch = fresh_scratch(plan.scratch)
    statements = plan.input or _generated(scratch / "statements.asc", plan.rows)
    totals = Totals.of(read_statements(statements))
    console.print(f"{totals.rows:,} payments of {len(totals.incoming):,} accounts, from {statements}", highlight=False)
    with running_broker(plan.backbone, scratch, console) as servers:
        place = scratch / ("node" if plan.validators == 1 else "validators")
        chain = f"demo-{secrets.token_hex(4)}"
        console.print(f"making the chain {chain} in {place}", highlight=False)
        options = ["--chain", chain, "--validators", str(plan.validators), *_log_options(servers)]
        homes = [Path(home) for home in momus("init", "--home", str(place), *options)["homes"]]
        flow, checks = _live(homes, scratch / ACCOUNTS_FILE, statements, totals, console)
        console.print(f"dropping the database of {homes[-1]} and rebuilding it by replay", highlight=False)
        rebuilt = rebuild(homes[-1])
    checks.tables = rebuilt.tables
    checks.replay_equal = not rebuilt.differing
    return Report(
        backbone=plan.backbone,
        validators=plan.validators,
        input=f"{statements} ({totals.rows + totals.empty_rows} rows, {len(totals.incoming)} accounts)",
        flow=flow,
        checks=checks,
        views_nullified=views_nullified(Home(homes[0]).store, Home(homes[0]).genesis()),
        replay_s=rebuilt.seconds,
        replay_per_s=checks.executed / rebuilt.seconds,
        seconds=time.monotonic() - started_at,
        places=_places(place, scratch),
        commands=_commands(place, homes[0], scratch),
    )


def _check_input(file: Path, scratch: Path) -> None:
    """Before anything is replaced. Raises: StatementError, WorkloadError, OSError."""
    if file.exists() and not file.is_file():
        raise StatementError(f"{file} is not a regular file: the demo reads it more than once")
    if file.resolve().is_relative_to(scratch.resolve()):
        raise StatementError(f"{file} lies in {scratch}, which the demo replaces: put it elsewhere, or give --scratch")
    Totals.of(read_statements(file))


def _live(homes: list[Path], accounts: Path, statements: Path, totals: Totals, console: Console) -> tuple[Flow, Checks]:
    """Everything that happens while the nodes run."""
    committee = LocalCommittee(homes)
    seed = secrets.token_bytes(32)
    with committee, HeightWatch(committee.urls[0]) as heights, Client.at_home(homes[0]) as client:
        plan = Plan(
            client.genesis, totals, seed, time.time_ns() // 1_000_000 + _VALID_FOR_MS, PrivateKey.from_seed(seed)
        )
        _write_accounts(accounts, plan)
        with _progress(console) as on_progress:
            flow = Phases(client, heights, committee.nodes, plan, on_progress).run(read_statements(statements))
        differences = committee.differences(_REST_S)
        checks = check_nodes(committee.urls, plan)
        checks.databases_equal = not differences
    return flow, checks


def _write_accounts(file: Path, plan: Plan) -> None:
    """`account;address;asset` a line: with it, anybody can hold the balances against the statements."""
    lines = [f"{account};{address.hex()};{plan.asset.hex()}" for account, address in plan.addresses().items()]
    file.write_text("\n".join(["account;address;asset", *lines, ""]))


@contextmanager
def _progress(console: Console) -> Iterator[OnProgress]:
    """A bar over all transactions; killed processes stay on the screen as lines."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True, refresh_per_second=5) as progress:
        task = progress.add_task("starting the node", total=None)

        def show(what: str, final: int, total: int) -> None:
            if what.startswith("killed"):
                progress.console.print(what, highlight=False)
            progress.update(task, description=what, completed=final, total=total)

        yield show


def _generated(path: Path, rows: int) -> Path:
    write_generated(path, rows, min(_GENERATED_ACCOUNTS, rows), _SEED)
    return path


def _log_options(servers: str | None) -> tuple[str, ...]:
    return () if servers is None else ("--backbone", "kafka", "--kafka", servers)


def _places(place: Path, scratch: Path) -> tuple[tuple[str, str], ...]:
    """Where things are, as (what, where)."""
    return (("data", str(place)), ("accounts", str(scratch / ACCOUNTS_FILE)))


def _commands(place: Path, home: Path, scratch: Path) -> tuple[tuple[str, str], ...]:
    """What can be typed next, as (what, command)."""
    look = "select address, decimal_amount from balances order by amount desc limit 5"
    return (
        ("To run it again:", typed("run", "--home", place)),
        ("To look with SQL, while it runs:", typed("sql", "--home", home, look)),
        ("To clean up:", typed("demo", "--clean", "--scratch", scratch)),
    )
