"""Whether records from elsewhere are those that a head commits to."""

from collections.abc import Sequence

from backbone.store import StoredRecord
from ledger import digests
from ledger.header import Head


def leads(before: Head, records: Sequence[StoredRecord], target: Head) -> bool:
    """Whether records hash from one head to another, each with the chain digest that it carries."""
    digest = before.chain_digest
    for record in records:
        digest = digests.chain_next(digest, target.incarnation, record.offset, digests.value_digest(record.value))
        if digest != record.chain_digest or record.incarnation != target.incarnation:
            return False
    return bool(records) and (records[-1].offset + 1, digest) == (target.end_offset, target.chain_digest)
