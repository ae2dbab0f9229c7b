"""`momus verify FILE --genesis G`: what a proof file proves, offline. Loads no SQL and no log: see `momus.__main__`."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.options import JsonOption
from cli.output import Failure, show
from cli.proof_text import proven_lines
from ledger.committee import Committees
from ledger.genesis import Genesis, GenesisError, parse_genesis
from node.home import exits
from proofs.facts import proven_facts
from proofs.proof_file import PREFIX, file_bytes_max
from proofs.verifying import NotProven, verify_state_proof

_GENESIS_BYTES_MAX = 2**20
_ANSWER_BYTES_MAX = 2**24
"""An object's content comes with its proof, twice."""


def command(
    file: Annotated[Path, typer.Argument(help="The proof file as `momus prove` writes it, or as the API answers it.")],
    genesis: Annotated[Path, typer.Option("--genesis", help="The chain's genesis.json, from a source you trust.")],
    as_json: JsonOption = False,
) -> None:
    """Check a proof of a row of state: offline, with nothing but the chain's genesis.

    An answer of the API with a proof in it may be given as it came; only the proof is looked at.

    Whoever has the right genesis.json need trust neither the file, nor the node that wrote it. Exit codes: 0 proven,
    1 not proven. --json prints chain, genesis_digest, kind, asset, address or object, exists, row {...} or null,
    absence (what a file binds that shows no row, or null), height, time_ms (null: the file has no header),
    block_digest, state_root, signers [{name, power}], power, power_total.
    """
    chain = _genesis(genesis)
    committees = Committees.of(chain)
    proven = verify_state_proof(_proof(file, file_bytes_max(chain, committees)), chain, committees)
    if isinstance(proven, NotProven):
        raise Failure(exits.FAILED, f"not proven: {proven.why}")
    facts = proven_facts(proven, chain)
    show(as_json, facts, ["Proven.", *proven_lines(facts)])


def _proof(path: Path, size_max: int) -> bytes:
    """The bytes of a proof file, whether they stand there themselves, in hex (bare, or quoted as JSON quotes it), or in
    an answer of the API."""
    data = _read(path, _ANSWER_BYTES_MAX)
    if data.startswith(PREFIX):
        return data[: size_max + 1]
    try:
        text = data.decode("utf-8-sig").strip()
        answer: Any = json.loads(text) if text.startswith(("{", '"')) else text
        written = answer if isinstance(answer, str) else (answer.get("proof") or answer)["file"]
        return bytes.fromhex(written)[: size_max + 1]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return data[: size_max + 1]


def _genesis(path: Path) -> Genesis:
    try:
        return parse_genesis(_read(path, _GENESIS_BYTES_MAX))
    except GenesisError as error:
        raise Failure(exits.USAGE, f"{path} is no genesis: {error}.") from error


def _read(path: Path, size_max: int) -> bytes:
    """The file's bytes; of a larger one, one byte more than is allowed."""
    try:
        with path.open("rb") as file:
            return file.read(size_max + 1)
    except OSError as error:
        raise Failure(exits.USAGE, f"{path} cannot be read: {error.strerror}.") from error
