"""`momus prove balance|object|asset`: a file that shows a row of this node's state to somebody who trusts nobody."""

import os
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from cli.command_parsing import BadCommand, hex_digest
from cli.options import DEFAULT_HOME, HomeOption, JsonOption
from cli.output import Failure, show, write_file
from cli.proof_text import proven_lines
from ledger import leaves
from node import wiring
from node.home import exits
from node.home.context import NodeContext
from node.home.final_heads import header_bytes_at
from node.home.layout import Home
from node.wiring.databases import running_postgres
from proofs.facts import proven_facts
from proofs.making import make_state_proof

app = typer.Typer(
    help="Write a proof of a row of state, or that there is none, as of the newest certified checkpoint.",
    no_args_is_help=True,
)

AssetArgument = Annotated[str, typer.Argument(help="The asset's id in hex.")]
OutOption = Annotated[Path, typer.Option("--out", help="Where the proof goes.")]
_OUT = Path("state.proof")
_CHANGED = {False: "The row is the same now.", True: "The row has CHANGED since that checkpoint: it is another now."}


@app.command("balance")
def balance(
    asset: AssetArgument,
    address: Annotated[str, typer.Argument(help="Whose balance: the address in hex.")],
    home: HomeOption = DEFAULT_HOME,
    out: OutOption = _OUT,
    as_json: JsonOption = False,
) -> None:
    """Prove what an address has of an asset, or that it has nothing.

    Exit codes: 3 the database was changed by hand, 4 nothing is certified yet. --json prints what `momus verify --json`
    prints, file, size_bytes, has_changed_since and exists_now.
    """
    _prove(leaves.balance_key(_digest(asset, "an asset"), _digest(address, "an address")), home, out, as_json)


@app.command("object")
def object_(
    object_id: Annotated[str, typer.Argument(metavar="OBJECT", help="The object's id in hex.")],
    home: HomeOption = DEFAULT_HOME,
    out: OutOption = _OUT,
    as_json: JsonOption = False,
) -> None:
    """Prove an object, its content by its SHA-256, or that there is none; else as `momus prove balance`."""
    _prove(leaves.object_key(_digest(object_id, "an object")), home, out, as_json)


@app.command("asset")
def asset(
    asset: AssetArgument, home: HomeOption = DEFAULT_HOME, out: OutOption = _OUT, as_json: JsonOption = False
) -> None:
    """Prove an asset and its supply, or that there is none; else as `momus prove balance`."""
    _prove(leaves.asset_key(_digest(asset, "an asset")), home, out, as_json)


def _digest(text: str, what: str) -> bytes:
    try:
        return hex_digest(text, what)
    except BadCommand as error:
        raise Failure(exits.USAGE, f"{error}.") from error


def _prove(key: bytes, home: Path, out: Path, as_json: bool) -> None:
    place = Home(home.absolute())
    context = NodeContext.at(place, place.settings(dict(os.environ)))
    settings, genesis = context.settings, context.genesis
    with running_postgres(place, settings):
        url = wiring.database_url(place, settings)
        made = make_state_proof(url, genesis, context.committees, key, partial(header_bytes_at, place.store))
    if made is None:
        raise Failure(exits.UNAVAILABLE, "this node has no certified checkpoint yet; try again after the next one.")
    write_file(out, made.data, "--out")
    facts = {
        **proven_facts(made.proven, genesis),
        "file": str(out),
        "size_bytes": len(made.data),
        "has_changed_since": made.has_changed_since,
        "exists_now": made.live is not None,
    }
    written = f"Written to {out}, {len(made.data)} bytes. {_CHANGED[made.has_changed_since]}"
    show(as_json, facts, [*proven_lines(facts), written])
