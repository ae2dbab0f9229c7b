"""`momus verify FILE --genesis G`: what a proof file proves, offline. Loads no SQL and no log: see `momus.__main__`."""

from pathlib import Path
from typing import Annotated

import typer

from cli.options import JsonOption
from cli.output import Failure, show
from cli.proof_text import proven_lines
from ledger.committee import Committees
from ledger.genesis import Genesis, GenesisError, parse_genesis
from node.home import exits
from proofs.facts import proven_facts
from proofs.proof_file import file_bytes_max
from proofs.verifying import NotProven, verify_state_proof

_GENESIS_BYTES_MAX = 2**20


def command(
    file: Annotated[Path, typer.Argument(help="The proof file, as `momus prove` writes it.")],
    genesis: Annotated[Path, typer.Option("--genesis", help="The chain's genesis.json, from a source you trust.")],
    as_json: JsonOption = False,
) -> None:
    """Check a proof of a row of state: offline, with nothing but the chain's genesis.

    Whoever has the right genesis.json need trust neither the file, nor the node that wrote it. Exit codes: 0 proven,
    1 not proven. --json prints chain, genesis_digest, kind, asset, address or object, exists, row {...} or null,
    height, time_ms (null: the file has no header), block_digest, state_root, signers [{name, power}], power,
    power_total.
    """
    chain = _genesis(genesis)
    committees = Committees.of(chain)
    proven = verify_state_proof(_read(file, file_bytes_max(chain, committees)), chain, committees)
    if isinstance(proven, NotProven):
        raise Failure(exits.FAILED, f"not proven: {proven.why}")
    facts = proven_facts(proven, chain)
    show(as_json, facts, ["Proven.", *proven_lines(facts)])


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
