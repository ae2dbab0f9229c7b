"""What a chain lets anybody write fits into every format that must carry it: no valid input stops a node."""

from typing import Any

from api.effects.record import RECORD_BYTES_MAX
from api.reading.transactions import TRANSFERS_MAX
from backbone.store.values import VALUE_BYTES_MAX
from backbone.topics import chain_topics, effects_topic
from ledger import leaf_reading
from ledger.encoding.codec import Codec
from ledger.genesis import LIMITS_MAX
from ledger.transaction import REFERENCE_SIZE_MAX
from sync.records import RangeLimits
from sync.snapshots.container import BLOCK_BYTES, BLOCK_BYTES_MAX, FILE_BYTES_MAX, UNPACKED_BYTES_MAX
from sync.snapshots.export import BOUND_BYTES_MAX, BOUND_LEAVES_MAX
from sync.snapshots.manifest import LEAVES_MAX

LONG, INT = 2**63 - 1, 2**31 - 1
ID = b"\xff" * 32
FRAMING = 64


def test_the_largest_effect_is_a_record_that_its_writer_finds_again() -> None:
    """One that it took for somebody else's at the end of the topic would be written a second time."""
    place: dict[str, Any] = {"partition": INT, "offset": LONG, "item": INT}
    move = {"index": INT, "kind": "transfer", "asset": ID, "sender": ID, "recipient": ID, "amount": LONG}
    change = {"object": ID, "version": LONG, "command": INT, "deleted": True, "ownership": "address", "owner": ID}
    effect = {
        "height": LONG, "block_digest": ID, "time_ms": LONG, "state": "executed", "index": INT, "digest": ID,
        "signer": ID, "reference": bytes(4 * REFERENCE_SIZE_MAX), **place, "reason": "x" * 64,
        "transfers": [move] * TRANSFERS_MAX, "transfers_left_out": True,
        "objects": [change] * LIMITS_MAX.commands_max,
    }  # fmt: skip
    size = len(Codec("Effect", "api").encode_single(effect))
    assert size <= RECORD_BYTES_MAX
    assert size + FRAMING <= int(effects_topic("e", 3, 0).settings["max.message.bytes"])


def test_what_the_transactions_topic_takes_can_be_stored_and_served() -> None:
    for record_bytes_max in (1, 1_000_000, LIMITS_MAX.record_bytes_max):
        taken = int(chain_topics("c", ["v"], 1, 3, record_bytes_max)[0].settings["max.message.bytes"])
        assert taken <= VALUE_BYTES_MAX
    limits = RangeLimits().above_a_block(LIMITS_MAX.records_max, LIMITS_MAX.bytes_max)
    assert limits.bytes_max >= max(VALUE_BYTES_MAX, LIMITS_MAX.bytes_max)
    assert limits.records_max >= LIMITS_MAX.records_max


def test_the_largest_leaf_and_the_largest_chunk_are_read_back_from_a_snapshot() -> None:
    leaf = LIMITS_MAX.content_bytes_max + leaf_reading.VALUE_BYTES_MAX + leaf_reading.KEY_BYTES_MAX + FRAMING
    assert leaf + BLOCK_BYTES <= BLOCK_BYTES_MAX
    assert max(BOUND_BYTES_MAX, leaf) + leaf <= min(UNPACKED_BYTES_MAX, FILE_BYTES_MAX)
    assert BOUND_LEAVES_MAX <= LEAVES_MAX
