"""What is known of each validator's node from the registry topic: the newest good record of each key. Pure.

In: batches of values from the topic, in its order, and the reader's own clock. Out: at most one record per known key,
and counts of what was refused. Work per batch is bounded whatever is in it: values are taken newest first, so that of
many records of one key one signature is verified, and of forged ones `VERIFIED_PER_KEY_MAX`.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ledger.rejection import Reason, Rejection
from sync.node_record import NodeRecord, NodeRecords, Signed

VERIFIED_PER_KEY_MAX: Final = 4
"""Signatures that are verified in one batch for one key."""

WRONG_CHAIN: Final = "wrong_chain"
UNKNOWN_KEY: Final = "unknown_key"
STALE: Final = "stale"
TOO_MANY: Final = "too_many"
BAD_SIGNATURE: Final = "bad_signature"

_UNREADABLE: Final = (
    Reason.NULL_VALUE, Reason.EMPTY, Reason.OVERSIZE, Reason.UNKNOWN_SCHEMA, Reason.MALFORMED, Reason.NON_CANONICAL,
    Reason.UNKNOWN_BRANCH, Reason.FIELD_RANGE,
)  # fmt: skip
REFUSALS: Final = (
    *(reason.name.lower() for reason in _UNREADABLE), WRONG_CHAIN, UNKNOWN_KEY, STALE, TOO_MANY, BAD_SIGNATURE,
)  # fmt: skip
"""Why a record was not taken, cheapest test first."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A record, when it was first seen (by the reader's own clock, any origin), and the reader's own height then."""

    record: NodeRecord
    seen_ms: int
    own_height: int

    def age_ms(self, now_ms: int) -> int:
        """Since it was first seen."""
        return max(0, now_ms - self.seen_ms)

    def is_fresh(self, now_ms: int) -> bool:
        """Whether it is valid still, as its node meant it."""
        return self.age_ms(now_ms) <= self.record.valid_for_ms


class Registry:
    """The newest record of each key of `known`; `heard` is what a former reader of this node knew."""

    def __init__(self, records: NodeRecords, known: Collection[bytes], heard: Mapping[bytes, Heard]) -> None:
        self._records = records
        self._known = frozenset(known)
        self._heard = {key: one for key, one in heard.items() if key in self._known}
        self.refused: Final = Counter(dict.fromkeys(REFUSALS, 0))

    def take(self, values: Sequence[bytes | None], now_ms: int, own_height: int) -> Iterable[bytes]:
        """A batch from the topic, in its order; the keys of which a newer record was taken."""
        verified: Counter[bytes] = Counter()
        taken = []
        for value in reversed(values):
            signed = self._records.decode(value)
            refusal = self._refusal(signed, verified)
            if refusal is not None:
                self.refused[refusal] += 1
            elif isinstance(signed, Signed):
                self._heard[signed.public_key] = Heard(signed.record, now_ms, own_height)
                taken.append(signed.public_key)
        return taken

    def heard(self) -> Mapping[bytes, Heard]:
        """By public key."""
        return self._heard.copy()

    def sequence_of(self, public_key: bytes) -> int:
        """That of its newest record; -1 without one."""
        heard = self._heard.get(public_key)
        return -1 if heard is None else heard.record.sequence

    def _refusal(self, signed: Signed | Rejection, verified: Counter[bytes]) -> str | None:
        """Why it is not taken; None where it is."""
        if isinstance(signed, Rejection):
            return signed.reason.word
        key = signed.public_key
        if not self._records.is_of_this_chain(signed):
            return WRONG_CHAIN
        if key not in self._known:
            return UNKNOWN_KEY
        if signed.record.sequence <= self.sequence_of(key):
            return STALE
        if verified[key] >= VERIFIED_PER_KEY_MAX:
            return TOO_MANY
        verified[key] += 1
        return None if self._records.is_authentic(signed) else BAD_SIGNATURE
