"""What this node knows of the others: the newest record of each validator, from a small file in the home.

The order process keeps that file (`node.ordering.announcing`); whoever wants to know reads it here, without Kafka or a
key.
"""

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, Literal

from ledger.committee import Committee
from ledger.formats import PEERS_KNOWN
from node.home.context import NodeContext
from node.home.files import replace_file
from node.home.layout import Home
from sync.node_record import NodeRecord
from sync.registry import Heard

FRESH: Final = "fresh"
EXPIRED: Final = "expired"
NEVER_SEEN: Final = "never seen"
STATES: Final = (FRESH, EXPIRED, NEVER_SEEN)
State = Literal["fresh", "expired", "never seen"]

FILE_BYTES_MAX: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Peer:
    """A validator as this node knows it; the fields from `age_ms` on are None where it was never seen.

    `age_ms` counts from when its newest record was first seen here. `behind_blocks` is this node's final height then
    less the peer's: below 0 where the peer was ahead. Addresses are `http(s)://host[:port]`, checked, empty where
    nothing is offered. Whatever a peer says of itself is its own word: signed, not proven.
    """

    validator: str
    public_key: str
    is_self: bool
    state: State
    age_ms: int | None = None
    valid_for_ms: int | None = None
    height: int | None = None
    checkpoint_height: int | None = None
    behind_blocks: int | None = None
    version: str | None = None
    roles: tuple[str, ...] | None = None
    api_address: str | None = None
    sync_address: str | None = None
    sequence: int | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """What the file holds. `heard` by public key, with `seen_ms` as minus the age at this moment; `sent_sequence`: of
    the last own record, -1 before the first."""

    heard: Mapping[bytes, Heard]
    sent_sequence: int = -1


def peers(context: NodeContext) -> list[Peer]:
    """All validators of the committee, in its order, as they are known now."""
    return peers_of(context.committees.current, read_known(context.home), context.settings.validator)


def peers_of(committee: Committee, known: Known, own_name: str, now_ms: int = 0) -> list[Peer]:
    """As `peers`; `now_ms` is by the clock of `seen_ms`, which for what `read_known` returned begins at 0 now."""
    rows = []
    for validator in committee.members:
        key = validator.consensus_key
        unseen = Peer(validator.name, key.hex(), validator.name == own_name, NEVER_SEEN)
        heard = known.heard.get(key)
        rows.append(unseen if heard is None else _peer(unseen, heard, now_ms))
    return rows


def _peer(unseen: Peer, heard: Heard, now_ms: int) -> Peer:
    record = heard.record
    return replace(
        unseen,
        state=FRESH if heard.is_fresh(now_ms) else EXPIRED,
        age_ms=heard.age_ms(now_ms),
        behind_blocks=heard.own_height - record.height,
        **{name: getattr(record, name) for name in NodeRecord.__dataclass_fields__},
    )


def write_known(home: Home, known: Known, now_ms: int) -> None:
    """Replace the file; `now_ms` by the clock of `seen_ms`. Raises: OSError."""
    document = {
        "format": PEERS_KNOWN.version,
        "written_ms": _wall_ms(),
        "sent_sequence": known.sent_sequence,
        "heard": [
            {
                "public_key": key.hex(),
                "age_ms": heard.age_ms(now_ms),
                "own_height": heard.own_height,
                "record": asdict(heard.record),
            }
            for key, heard in known.heard.items()
        ],
    }
    replace_file(home.peers_file, json.dumps(document).encode(), durable=False)


def read_known(home: Home, now_ms: int = 0) -> Known:
    """What the file holds, aged to now, which is `now_ms`; nothing where there is none, or it is damaged.

    Ages are a steady clock's up to the writing, which is at most some seconds ago while the node runs, and the wall
    clock's from there on.
    """
    try:
        with home.peers_file.open("rb") as stream:
            document = json.loads(stream.read(FILE_BYTES_MAX))
        return _known(document, now_ms)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return Known({})


def _known(document: Mapping[str, Any], now_ms: int) -> Known:
    """Raises: ValueError, TypeError, KeyError, AttributeError."""
    if document["format"] != PEERS_KNOWN.version:
        raise ValueError(f"format {document['format']}")
    passed_ms = max(0, _wall_ms() - int(document["written_ms"]))
    heard = {}
    for row in document["heard"]:
        record = NodeRecord(**{**row["record"], "roles": tuple(row["record"]["roles"])})
        heard[bytes.fromhex(row["public_key"])] = Heard(
            record, now_ms - int(row["age_ms"]) - passed_ms, int(row["own_height"])
        )
    return Known(heard, int(document["sent_sequence"]))


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000
