"""Writes a proof file from one node's database: the row as of the newest certified checkpoint."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from consensus.wire.checkpoint_messages import CheckpointCertificate, CheckpointWire
from ledger.checkpoint import Checkpoint
from ledger.committee import Committees
from ledger.digests import block_digest
from ledger.genesis import Genesis
from projections.proven_rows import newest_certified, one_view, proven_row
from projections.session.connect import connect
from projections.session.errors import StateDiffers, translated
from proofs.proof_file import StateProof, encode_state_proof
from proofs.verifying import NotProven, Proven, verify_state_proof
from tree.proofs import encode_proof

_MS_MAX: Final = 30_000

HeaderAt = Callable[[int], bytes | None]
"""The header's bytes of a height, where they are at hand."""


@dataclass(frozen=True, slots=True)
class Made:
    """A proof file and what it proves. `live` is the row's leaf value by now; None: there is none."""

    data: bytes
    proven: Proven
    value: bytes | None
    live: bytes | None

    @property
    def has_changed_since(self) -> bool:
        """Whether the row is another by now."""
        return self.value != self.live


def make_state_proof(
    url: str, genesis: Genesis, committees: Committees, key: bytes, header_at: HeaderAt
) -> Made | None:
    """The proof of a leaf key from the database at `url`; None: no checkpoint is certified yet.

    Raises: DatabaseUnavailable, DatabaseUnusable; StateDiffers, where what is stored does not follow from what was
    certified, or the live row is not what execution left there.
    """
    with translated(), connect(url, "momus prove") as connection:
        connection.execute(f"SET statement_timeout = {_MS_MAX}")
        with one_view(connection):
            found = newest_certified(connection)
            if found is None:
                return None
            checkpoint = certified_checkpoint(found[1], genesis, committees)
            row = proven_row(connection, key, checkpoint.height, checkpoint.state_root)
    header = header_at(checkpoint.height)
    if header is not None and block_digest(genesis.digest, header) != checkpoint.block_digest:
        raise StateDiffers(f"The store's block {checkpoint.height} is not the one that the certificate names.")
    data = encode_state_proof(StateProof(key, row.value, row.details, encode_proof(row.proof), header, found[1]))
    proven = verify_state_proof(data, genesis, committees)
    if isinstance(proven, NotProven):
        raise StateDiffers(f"The proof that this database gives is no good: {proven.why}")
    return Made(data, proven, row.value, row.live)


def certified_checkpoint(data: bytes, genesis: Genesis, committees: Committees) -> Checkpoint:
    """What a certificate of this node's database is of. Raises: StateDiffers, where it is not good."""
    wire = CheckpointWire(genesis, committees)
    message = wire.decode(data)
    if not isinstance(message, CheckpointCertificate) or not wire.is_certified(message):
        raise StateDiffers("The newest certificate in the database is none. Somebody has changed it by hand.")
    return message.claim.checkpoint
