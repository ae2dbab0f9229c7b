"""What a proof shows, as JSON."""

from typing import Any, Final

from ledger.genesis import Genesis
from ledger.leaf_reading import BalanceLeaf, LeafContent
from ledger.leaves import Kind
from ledger.object_parts import ObjectDetails
from ledger.state import Asset, Object
from proofs.verifying import Proven

_ABSENT: Final = {
    Kind.OBJECT: "whether it was deleted or never made",
    Kind.BALANCE: "what the address holds of other assets, nor whether anybody has a key for it",
    Kind.ASSET: "whether an asset of that name was issued under another id",
}


def proven_facts(proven: Proven, genesis: Genesis) -> dict[str, Any]:
    """One JSON object; digests, ids and addresses in hex."""
    kind = Kind(proven.key[0])
    return {
        "chain": genesis.chain,
        "genesis_digest": genesis.digest.hex(),
        "kind": kind.name.lower(),
        **_name(kind, proven.key),
        "exists": proven.row is not None,
        "row": None if proven.row is None else _row(proven.row, proven.details),
        "absence": None if proven.row is not None else _absence(kind, proven.checkpoint.height),
        "height": proven.checkpoint.height,
        "time_ms": proven.time_ms,
        "block_digest": proven.checkpoint.block_digest.hex(),
        "state_root": proven.checkpoint.state_root.hex(),
        "signers": [{"name": signer.name, "power": signer.power} for signer in proven.signers],
        "power": proven.power,
        "power_total": proven.power_total,
    }


def _absence(kind: Kind, height: int) -> str:
    """What a file that shows no row binds, and what not: it can be made for any id that somebody thinks of."""
    return (
        f"This binds that the state at height {height} has no such row, under this genesis. It does not bind whether "
        f"there was one before or after, nor {_ABSENT[kind]}. The id comes from the file: compare it with the one "
        "that you asked for."
    )


def _name(kind: Kind, key: bytes) -> dict[str, str]:
    if kind is Kind.BALANCE:
        return {"asset": key[1:33].hex(), "address": key[33:].hex()}
    return {kind.name.lower(): key[1:].hex()}


def _row(row: LeafContent, details: ObjectDetails | None) -> dict[str, Any]:
    match row:
        case BalanceLeaf():
            return {"amount": row.amount}
        case Asset():
            return {"name": row.name, "decimals": row.decimals, "issuer": row.issuer.hex(), "supply": row.supply}
        case Object() if details is not None:
            return {
                "version": row.version,
                "ownership": row.ownership.name.lower(),
                "owner": row.owner.hex() or None,
                "writers": [details.writers[at : at + 32].hex() for at in range(0, len(details.writers), 32)],
                "type": details.type,
                "media_type": details.media_type,
                "content_version": row.content_version,
                "content_size_bytes": row.content_size_bytes,
                "content_sha256": details.content_hash.hex(),
            }
    raise AssertionError("a proof file holds no other kind of row")
