"""`momus run`: the node of a home, until Ctrl-C or SIGTERM."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from backbone.store import StoreDamaged
from cli.options import DEFAULT_HOME, HomeOption, JsonOption
from cli.output import Failure, note, show
from cli.typed import remedies, typed
from node.embedded.postgres_files import PostgresUnusable
from node.home import exits
from node.home.context import NodeContext
from node.home.layout import Home
from node.process.logging import start_logging
from node.process.parent_death import die_with_parent
from node.settings.tree import Settings, read_settings
from node.supervision.local_committee import SupervisorGroup, homes_below
from node.supervision.metrics_server import metrics_served
from node.supervision.specs import supervisor_of
from node.supervision.telling import health_told

ParentOption = Annotated[int | None, typer.Option(help="Process id that this one must not outlive.", hidden=True)]


def command(home: HomeOption = DEFAULT_HOME, parent: ParentOption = None, as_json: JsonOption = False) -> None:
    """Run the node: orders transactions and executes them into Postgres, until Ctrl-C or SIGTERM.

    Of a folder that `momus init --validators` made: all its validators. Crashed processes are started again. Exit
    codes: 0 stopped, 2 settings, 3 a node halted (the message names the remedy). --json prints {"halted": null or why}
    at the end; the log goes to standard error.
    """
    if parent is not None:
        die_with_parent(parent)
    if homes := homes_below(home):
        _run_all(home.absolute(), homes, as_json)
    _run_one(home, as_json)


def _run_all(folder: Path, homes: list[Home], as_json: bool) -> NoReturn:
    settings = read_settings(None, dict(os.environ))
    start_logging(settings.logging, folder, "committee")
    argv = [sys.executable, "-P", "-m", "momus", "run", "--parent", str(os.getpid()), "--home"]
    committee = SupervisorGroup(folder, homes, argv, settings.supervisor)
    if not as_json:
        note(f"Running {len(homes)} validators in {folder}. Ctrl-C stops them.")
        for each in homes:
            note(
                f"  {each.path.name}: {_page(each.settings(dict(os.environ))) or typed('status', '--home', each.path)}"
            )
    code = committee.run()
    halted = committee.halted()
    commands = [command for name, why in halted.items() for command in remedies(why, folder / name)]
    _end(code, "; ".join(f"{name}: {why}" for name, why in halted.items()) or None, as_json, commands)


def _page(settings: Settings) -> str:
    return f"http://{settings.api.host}:{settings.api.port}/" if settings.api.port else ""


def _run_one(home: Path, as_json: bool) -> NoReturn:
    place = Home(home.absolute())
    settings = place.settings(dict(os.environ))
    NodeContext.at(place, settings)  # what cannot be used is told before anything starts
    start_logging(settings.logging, place.path, "supervisor")
    argv = [sys.executable, "-P", "-m", "momus", "process", "--home", str(place.path), "--parent", str(os.getpid())]
    supervisor = supervisor_of(place, settings, argv)
    if not as_json:
        note(f"Running {place.path}. Ctrl-C stops it. How it does shows:")
        note(f"  {_page(settings) or typed('status', '--home', place.path)}")
    with metrics_served(place, settings, supervisor.starts), health_told(place, settings):
        code = supervisor.run()
    if code == exits.HALT:
        _name_rows(place, settings)
    _end(code, supervisor.halt_message() or None, as_json)


def _name_rows(home: Home, settings: Settings) -> None:
    """If it was a fork of the state: what differs, down to the rows, before the command ends."""
    # What most runs of a node never need.
    from node.recovery.fork_rows import rows_of_fork
    from node.recovery.rebuild import RecoveryFailed
    from projections.session.errors import DatabaseUnavailable, DatabaseUnusable
    from sync.snapshots.stores import SnapshotStoreUnavailable

    unavailable = (
        DatabaseUnavailable,
        DatabaseUnusable,
        PostgresUnusable,
        SnapshotStoreUnavailable,
        StoreDamaged,
        OSError,
    )
    try:
        done = rows_of_fork(NodeContext.at(home, settings), lambda step: None)
    except (RecoveryFailed, *unavailable) as error:
        note(f"The rows that differ could not be named: {error}")
        return
    if done is not None:
        file, found = done
        note(f"{file}: {found.count:,} rows differ. {found.says}")
        for command in remedies(found.says, home.path):
            note(f"  {command}")


def _end(code: int, halted: str | None, as_json: bool, commands: Sequence[str] | None = None) -> NoReturn:
    if as_json:
        show(True, {"halted": halted}, "")
    if halted is not None:
        raise Failure(exits.HALT, f"the node halted: {halted}", commands)
    raise typer.Exit(code)
