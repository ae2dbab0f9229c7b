"""Sending one transaction from the command line and telling what became of it."""

import os
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from cli.command_parsing import BadCommand, Names
from cli.output import Failure, progress, show
from client import Client, Submission
from ledger.commands import Command
from ledger.keys import PrivateKey
from node import wiring
from node.home import exits
from node.home.keystore import load_key
from node.home.layout import Home
from projections.database import DatabaseUnavailable
from projections.lookup import Executed, Fate, Pending, Rejected, transaction_fate
from projections.session.connect import connect

_POLL_S = 0.02
_ASSETS = "select asset from api.assets where name = %s limit 2"
_HAS_EXECUTED = "select from api.blocks limit 1"


@dataclass(frozen=True, slots=True)
class Sending:
    """What all kinds of `momus submit` share."""

    home: Path
    key_file: Path | None
    reference: str
    timeout_s: float
    wait: bool
    as_json: bool


def send(options: Sending, build: Callable[[Names], Sequence[Command]]) -> None:
    """Sign what `build` makes, submit it, follow it to finality and into the database, and show what became of it.

    Raises: Failure (rejected: exit code 1; not final in time: 4).
    """
    home = Home(options.home.absolute())
    settings = home.settings(dict(os.environ))
    genesis = home.genesis()
    key = load_key(options.key_file or home.client_key_file, wiring.passphrase(settings))
    url = wiring.database_url(home, settings)
    commands = _built(build, Names(key.address, lambda name: asset_named(url, name, options.timeout_s)))
    with wiring.open_log(home, settings) as log, closing(Client(log, genesis)) as client:
        started = time.monotonic()
        submission = _submit(client, key, commands, options)
        if not options.wait:
            show(options.as_json, _facts(submission, "delivered"), f"delivered  {submission.digest.hex()}")
            return
        waited_ms = round((time.monotonic() - started) * 1000)
    _tell(options, submission, waited_ms, _fate(url, submission, options.timeout_s))


def asset_named(url: str, name: str, patience_s: float) -> bytes:
    """The id of the only asset of that name; of a node that has just begun, once it has executed its first block.

    Raises: BadCommand, psycopg.OperationalError.
    """
    until = time.monotonic() + patience_s
    with connect(url, "momus client") as database:
        while not (found := database.execute(_ASSETS, [name]).fetchall()):
            if time.monotonic() > until or database.execute(_HAS_EXECUTED).fetchone() is not None:
                break
            time.sleep(_POLL_S)
        found = found or database.execute(_ASSETS, [name]).fetchall()
    if len(found) == 1:
        return bytes.fromhex(found[0][0])
    what = "no asset" if not found else "more than one asset"
    raise BadCommand(f"there is {what} of the name {name!r}; give the asset's id")


def _built(build: Callable[[Names], Sequence[Command]], names: Names) -> Sequence[Command]:
    try:
        return build(names)
    except BadCommand as error:
        raise Failure(exits.USAGE, f"{error}.") from error


def _submit(client: Client, key: PrivateKey, commands: Sequence[Command], options: Sending) -> Submission:
    try:
        transaction = client.sign(key, *commands, reference=options.reference.encode())
    except ValueError as error:
        raise Failure(exits.USAGE, str(error)) from error
    with progress(options.as_json) as bar:
        task = bar.add_task("submitted, waiting for the log", total=2, note="")
        submission = client.submit(transaction)
        client.wait([submission], options.timeout_s, "delivered")
        if submission.failure is not None:
            raise Failure(exits.UNAVAILABLE, f"the log did not take the transaction: {submission.failure}")
        if options.wait:
            bar.update(task, completed=1, description="in the log, waiting for finality")
            client.wait([submission], options.timeout_s)
    return submission


def _fate(url: str, submission: Submission, timeout_s: float) -> Fate | None:
    """What the node's database says once it has executed the block; None where it does not in time or at all."""
    deadline = time.monotonic() + timeout_s
    try:
        with connect(url, "momus client") as database:
            while _height(database) < (submission.height or 0):
                if time.monotonic() > deadline:
                    return None
                time.sleep(_POLL_S)
            return transaction_fate(database, submission.digest)
    except (psycopg.OperationalError, DatabaseUnavailable):
        return None


def _height(database: psycopg.Connection) -> int:
    found = database.execute("select height from api.status").fetchone()
    return 0 if found is None else int(found[0])


def _facts(submission: Submission, state: str) -> dict[str, Any]:
    position = submission.position
    return {
        "digest": submission.digest.hex(),
        "state": state,
        "height": submission.height,
        "partition": None if position is None else position.partition,
        "offset": None if position is None else position.offset,
    }


def _tell(options: Sending, submission: Submission, waited_ms: int, found: Fate | None) -> None:
    digest = submission.digest.hex()
    facts = _facts(submission, "final") | {"finality_ms": waited_ms, "reason": None}
    if isinstance(found, Executed):
        text = f"executed  {digest}  at height {found.height}, final after {waited_ms} ms"
        show(options.as_json, facts | {"state": "executed", "height": found.height}, text)
    elif isinstance(found, Rejected):
        reason, sentence = reason_of(found)
        if options.as_json:
            show(True, facts | {"state": "rejected", "height": found.height, "reason": reason}, "")
        raise Failure(exits.FAILED, f"rejected {digest} at height {found.height}: {sentence}")
    elif isinstance(found, Pending):
        reason, sentence = reason_of(found)
        if options.as_json:
            show(True, facts | {"state": "pending", "reason": reason}, "")
        raise Failure(
            exits.FAILED, f"{digest} has not executed, and may until it expires; one record of it: {sentence}"
        )
    else:
        text = f"final  {digest}  at height {submission.height}; the database has not executed it yet"
        show(options.as_json, facts, text)


def reason_of(rejected: Rejected | Pending) -> tuple[str | None, str]:
    """The reason's name as SQL shows it, and its sentence."""
    if rejected.reason is None:
        return None, "Its block had more rejections than are kept with their reasons."
    return rejected.reason.name.lower(), rejected.reason.sentence
