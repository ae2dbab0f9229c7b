"""`momus process`: one process of a node. `momus run` starts these; people do not. Each loads what it alone needs."""

from argparse import ArgumentParser
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from node.process.process import Process, run_process


def run(arguments: Sequence[str]) -> int:
    """Run the process of these arguments; its exit code. Raises: SystemExit of code 2 where they are wrong."""
    parser = ArgumentParser("momus process", description="One process of a node; `momus run` starts these.")
    parser.add_argument("name", choices=_BODIES)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--parent", type=int, help="Process id that this one must not outlive.")
    given = parser.parse_args(arguments)
    return run_process(given.name, given.home.absolute(), given.parent, _BODIES[given.name])


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
