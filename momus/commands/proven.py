"""What a proof shows, for people and as JSON."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ledger.genesis import Genesis
from ledger.leaf_reading import BalanceLeaf, LeafContent, ObjectLeaf
from ledger.leaves import Kind
from ledger.state import Asset
from proofs.verifying import Proven


def proven_facts(proven: Proven, genesis: Genesis) -> dict[str, Any]:
    """One JSON object; digests, ids and addresses in hex."""
    kind = Kind(proven.key[0])
    return {
        "chain": genesis.chain,
        "genesis_digest": genesis.digest.hex(),
        "kind": kind.name.lower(),
        **_name(kind, proven.key),
        "exists": proven.row is not None,
        "row": None if proven.row is None else _row(proven.row),
        "height": proven.checkpoint.height,
        "time_ms": proven.time_ms,
        "block_digest": proven.checkpoint.block_digest.hex(),
        "state_root": proven.checkpoint.state_root.hex(),
        "signers": [{"name": signer.name, "power": signer.power} for signer in proven.signers],
        "power": proven.power,
        "power_total": proven.power_total,
    }


def proven_lines(facts: Mapping[str, Any]) -> list[str]:
    """The same for people; texts that somebody chose are quoted and escaped."""
    what = " of ".join(f"{name} {facts[name]}" for name in ("address", "asset", "object") if name in facts)
    lines = [f"{facts['kind'].capitalize()}: {what}"]
    if facts["exists"]:
        lines += [f"  {name.replace('_', ' ')}: {_shown(value)}" for name, value in facts["row"].items()]
    else:
        lines.append("  does not exist")
    signers = ", ".join(f"{signer['name']} ({signer['power']})" for signer in facts["signers"])
    return [
        *lines,
        f"As of height {facts['height']} of chain {facts['chain']}, {_time(facts['time_ms'])}.",
        f"Signed by {signers}: power {facts['power']} of {facts['power_total']}.",
        f"Genesis digest {facts['genesis_digest']}",
        f"State root {facts['state_root']}",
    ]


def _name(kind: Kind, key: bytes) -> dict[str, str]:
    if kind is Kind.BALANCE:
        return {"asset": key[1:33].hex(), "address": key[33:].hex()}
    return {kind.name.lower(): key[1:].hex()}


def _row(row: LeafContent) -> dict[str, Any]:
    match row:
        case BalanceLeaf():
            return {"amount": row.amount}
        case Asset():
            return {"name": row.name, "decimals": row.decimals, "issuer": row.issuer.hex(), "supply": row.supply}
        case ObjectLeaf():
            return {
                "version": row.version,
                "ownership": row.ownership.name.lower(),
                "owner": row.owner.hex() or None,
                "writers": [writer.hex() for writer in row.writers],
                "type": row.type,
                "media_type": row.media_type,
                "content_size_bytes": row.content_size_bytes,
                "content_sha256": row.content_digest.hex(),
            }
    raise AssertionError("a proof file holds no other kind of row")


def _shown(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return ascii(value) if isinstance(value, str) and not value.isalnum() else str(value)


def _time(time_ms: int | None) -> str:
    if time_ms is None:
        return "at a time that the file does not show"
    try:
        return datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(timespec="milliseconds")
    except (ValueError, OverflowError):
        return f"{time_ms} ms after the Unix epoch"
