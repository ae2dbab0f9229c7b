"""`momus process`: one process of a node. `momus run` starts these; people do not. Each loads what it alone needs."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final

import typer

from cli.options import DEFAULT_HOME, HomeOption
from node.process.process import Process, run_process


def command(
    name: Annotated[str, typer.Argument(help="order, execute, peers, drills, api, effects or admin")],
    home: HomeOption = DEFAULT_HOME,
    parent: Annotated[int | None, typer.Option(help="Process id that this one must not outlive.")] = None,
) -> None:
    """One process of the node; `momus run` starts these."""
    if name not in _BODIES:
        raise typer.BadParameter(f"{name} is not a process: {', '.join(_BODIES)}")
    raise typer.Exit(run_process(name, Path(home).absolute(), parent, _BODIES[name]))


def _order(process: Process) -> None:
    from node.ordering.process import run_order

    run_order(process)


def _execute(process: Process) -> None:
    from node.execution.process import run_execute

    run_execute(process)


def _peers(process: Process) -> None:
    from node.ordering.serve_records import run_peers

    run_peers(process)


def _drills(process: Process) -> None:
    from node.recovery.drills import run_drills

    run_drills(process)


def _api(process: Process) -> None:
    from api.process import run_api
    from api.submission.sender import client_sender

    run_api(process, client_sender)


def _admin(process: Process) -> None:
    from api.admin.process import run_admin

    run_admin(process)


def _effects(process: Process) -> None:
    from api.effects.process import run_effects

    run_effects(process)


_BODIES: Final[dict[str, Callable[[Process], None]]] = {
    "order": _order,
    "execute": _execute,
    "peers": _peers,
    "drills": _drills,
    "api": _api,
    "effects": _effects,
    "admin": _admin,
}
