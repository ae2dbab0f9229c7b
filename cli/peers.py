"""`momus peers`: the validators' nodes as this node knows them (docs/discovery.md)."""

import os
from collections.abc import Sequence
from dataclasses import asdict

from cli.options import DEFAULT_HOME, HomeOption, JsonOption
from cli.output import note, show, show_rows
from node.home.context import NodeContext
from node.home.known_peers import FRESH, Peer, peers
from node.home.layout import Home
from node.home.status import StatusFile

COLUMNS = ("validator", "state", "height", "behind", "version", "roles", "api", "sync", "heard")


def command(home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Show the nodes of the other validators: who was heard of lately, how far each is, where it can be reached.

    What a node says of itself is its own word: signed, not proven. --json prints validator, listening (whether this
    node hears anything now), fresh (how many), peers [{validator, public_key, is_self, state (fresh, expired, never
    seen), age_ms, valid_for_ms, height, checkpoint_height, behind_blocks, version, roles, api_address, sync_address,
    sequence}]; of one that was never seen, all from age_ms on are null.
    """
    place = Home(home.absolute())
    settings = place.settings(dict(os.environ))
    rows = peers(NodeContext.at(place, settings))
    silence = _silence(place, settings.discovery.every_ms)
    fresh = sum(row.state == FRESH for row in rows)
    if as_json:
        facts = {
            "validator": settings.validator,
            "listening": not silence,
            "fresh": fresh,
            "peers": [asdict(row) for row in rows],
        }
        show(True, facts, "")
        return
    show_rows(COLUMNS, [_cells(row) for row in rows])
    if silence:
        note(silence)


def _silence(home: Home, every_ms: int) -> str:
    """Why nothing is heard now; empty where something may be."""
    if not every_ms:
        return "This node neither announces itself nor listens: discovery.every_ms is 0."
    order = StatusFile(home.status_file("order")).read()
    if order is None or not order.is_alive:
        return "This node's order process does not run, so nothing new is heard."
    return ""


def _cells(row: Peer) -> Sequence[str]:
    name = f"{row.validator} (this one)" if row.is_self else row.validator
    if row.age_ms is None:
        return (name, row.state, *[""] * (len(COLUMNS) - 2))
    return (
        name,
        row.state,
        f"{row.height:,}",
        f"{row.behind_blocks:,} blocks",
        row.version or "",
        ", ".join(row.roles or ()),
        row.api_address or "",
        row.sync_address or "",
        _ago(row.age_ms),
    )


def _ago(age_ms: int) -> str:
    """In the unit that says enough."""
    for unit, unit_ms in (("d", 86_400_000), ("h", 3_600_000), ("min", 60_000)):
        if age_ms >= 2 * unit_ms:
            return f"{age_ms // unit_ms} {unit} ago"
    return f"{age_ms / 1000:.0f} s ago"
