"""Log heads as jsonb, the same text on every node."""

import json
from collections.abc import Sequence
from typing import Any

from ledger.header import Head


def heads_to_json(heads: Sequence[Head]) -> str:
    """`[{"partition", "incarnation", "end_offset", "chain_digest" (hex)}, ...]`."""
    return json.dumps(
        [
            {
                "partition": head.partition,
                "incarnation": head.incarnation,
                "end_offset": head.end_offset,
                "chain_digest": head.chain_digest.hex(),
            }
            for head in heads
        ]
    )


def heads_from_json(value: list[dict[str, Any]]) -> tuple[Head, ...]:
    """Back from what psycopg loads."""
    return tuple(
        Head(item["partition"], item["incarnation"], item["end_offset"], bytes.fromhex(item["chain_digest"]))
        for item in value
    )
