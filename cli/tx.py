"""`momus tx DIGEST`: what became of a transaction."""

import os
from typing import Annotated, Any

import psycopg
import typer
from psycopg.rows import dict_row

from cli.command_parsing import BadCommand, hex_digest
from cli.database import reading
from cli.options import DEFAULT_HOME, HomeOption, JsonOption
from cli.output import Failure, show
from cli.submission import reason_of
from node.home import exits
from node.home.layout import Home
from projections.lookup import Executed, Pending, Rejected, transaction_fate

_EXECUTED = """
select height, index, partition, "offset", item, signer, reference, commands, time::text as time
from api.transactions where height = %s and index = %s"""
_REJECTED = """
select height, index, partition, "offset", item, signer, reference, time::text as time
from api.rejections where height = %s and digest = %s order by index limit 1"""


def command(
    digest: Annotated[str, typer.Argument(help="The transaction's digest in hex.")],
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Tell what became of a transaction, as this node executed it.

    Exit codes: 0 executed, 1 rejected or not known here (yet). --json prints digest, state (executed, rejected,
    pending, unknown), height, index, partition, offset, item, signer, reference, time, and reason with sentence or
    commands. Pending: a record with this digest was rejected, and another may still execute.
    """
    place = Home(home.absolute())
    settings = place.settings(dict(os.environ))
    try:
        wanted = hex_digest(digest, "a digest")
    except BadCommand as error:
        raise Failure(exits.USAGE, f"{error}.") from error
    with reading(place, settings, settings.projections.statement_timeout_ms, as_reader=False) as database:
        facts = {"digest": digest.lower(), **_find(database, wanted)}
    show(as_json, facts, _lines(facts))
    if facts["state"] != "executed":
        raise typer.Exit(exits.FAILED)


def _find(database: psycopg.Connection, digest: bytes) -> dict[str, Any]:
    fate = transaction_fate(database, digest)
    with database.cursor(row_factory=dict_row) as cursor:
        if isinstance(fate, Executed):
            found = cursor.execute(_EXECUTED, [fate.height, fate.index]).fetchone()
            return {"state": "executed", **(found or {})}
        if isinstance(fate, Rejected | Pending):
            reason, sentence = reason_of(fate)
            found = cursor.execute(_REJECTED, [fate.height, digest.hex()]).fetchone()
            state = "rejected" if isinstance(fate, Rejected) else "pending"
            return {"state": state, "height": fate.height, "reason": reason, "sentence": sentence, **(found or {})}
    return {"state": "unknown"}


def _lines(facts: dict[str, Any]) -> list[str]:
    if facts["state"] == "unknown":
        return [f"{facts['digest']} is not known to this node: it was not submitted, or is not final yet."]
    lines = [f"{facts['state']}  {facts['digest']}", f"  height {facts['height']}, {facts.get('time', '')}"]
    if facts["state"] in ("rejected", "pending"):
        lines.append(f"  {facts['sentence']}")
    if facts["state"] == "pending":
        lines.append(
            "  This holds for that record alone: another one with the same digest may execute until it expires."
        )
    if "signer" in facts:
        lines.append(f"  signer {facts['signer']}, reference {facts['reference']!r}")
        lines.append(f"  partition {facts['partition']}, offset {facts['offset']}, item {facts['item']}")
    return lines
