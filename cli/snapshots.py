"""`momus snapshots`: what a node could recover from."""

import os
from typing import Annotated, Any

import typer

from cli.options import DEFAULT_HOME, HomeOption, JsonOption
from cli.output import Failure, show
from node import wiring
from node.home import exits
from node.home.context import NodeContext
from node.home.layout import Home
from sync.snapshots.restore import BadSnapshot, open_snapshot, verify_snapshot


def command(
    home: HomeOption = DEFAULT_HOME,
    verify: Annotated[bool, typer.Option("--verify", help="Read all of each, and hold it against its root.")] = False,
    as_json: JsonOption = False,
) -> None:
    """List the snapshots of a node, oldest first, and what is wrong with those that cannot be used.

    Manifests and certificates are always verified. Exit codes: 1 one of them is bad, 4 the place does not answer.
    --json prints snapshots [height, time_ms, rows, bytes, state_root, wrong].
    """
    place = Home(home.absolute())
    context = NodeContext.at(place, place.settings(dict(os.environ)))
    kept = wiring.snapshot_place(place, context.settings)
    found: list[dict[str, Any]] = []
    for height in kept.heights():
        facts: dict[str, Any] = {"height": height, "wrong": None}
        found.append(facts)
        try:
            snapshot = open_snapshot(kept, height, context.genesis, context.committees)
            facts["time_ms"] = snapshot.certified.header.time_ms
            facts["rows"], facts["bytes"] = snapshot.rows, snapshot.manifest.size_bytes
            facts["state_root"] = snapshot.certified.checkpoint.state_root.hex()
            if verify:
                verify_snapshot(snapshot)
        except BadSnapshot as error:
            facts["wrong"] = str(error)
    show(as_json, {"snapshots": found}, [_line(facts) for facts in found] or ["There is no snapshot yet."])
    if any(facts["wrong"] for facts in found):
        raise Failure(exits.FAILED, "not every snapshot can be used.")


def _line(facts: dict[str, Any]) -> str:
    if facts["wrong"]:
        return f"Height {facts['height']}: cannot be used: {facts['wrong']}"
    size = f"{facts['rows']:,} rows, {facts['bytes']:,} bytes"
    return f"Height {facts['height']}: {size}, state root {facts['state_root']}"
