"""The executor's cache of what it has read or written: balances, assets, objects, remembered digests.

The executor is the only writer of its database, so what it holds stays true; what was written stays here at least
until its flush is durable, since only here a group finds what the group before it did.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from executor.balances import Balances, Slots
from executor.cache import Cache
from executor.reads import READS
from executor.remembered import Remembered
from executor.writers import Writers
from ledger.columns import KIND_TRANSFER, Verdicts
from ledger.rejection import Reason
from ledger.state import Asset, Inputs, Object, Wanted

AFTER_DIGEST: Final = frozenset({int(Reason.WEAK_KEY), int(Reason.BAD_SIGNATURE)})
"""Reasons found without state that yield to DUPLICATE: the digest is tested before the signature."""

_DIGEST_BYTES: Final = 150
_VALUE_BYTES: Final = 800
"""What a remembered digest, and an asset or object take in memory with their places in dictionaries."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """Verdicts with their balances found: a slot for the sender of each transfer and for each of its recipients.
    Where an item is rejected already, its slots are meaningless."""

    verdicts: Verdicts
    items: list[tuple[Any, ...]]  # ITEM rows
    commands: list[tuple[Any, ...]]  # COMMAND rows
    senders: list[int]  # one per command
    recipients: list[int]  # one per recipient
    recipient_column: Slots  # the same as an array
    amounts: list[int]  # the verdicts' as integers


class State:
    """For each group of blocks, in this order: `wanted`, `learn`, `execute.execute`; `committed` once its flush is
    durable. One flush may be in flight, or several, while the next group is prefetched and executed.

    After any error it is thrown away: a new one reads all it needs from the database.
    """

    def __init__(self) -> None:
        self._resolved: Resolved | None = None
        self._asked: Wanted | None = None
        self._drop()

    def wanted(self, verdicts: Verdicts) -> Wanted:
        """What execution of `verdicts` reads and the cache does not hold, each once, in log order."""
        self.remembered.start_wanting()
        self._resolved = self._resolve(verdicts)
        self._asked = Wanted(
            self.balances.wanted(),
            self.assets.wanted(),
            self.objects.wanted(),
            self.writers.wanted(),
            self.remembered.wanted(),
            self.remembered.wanted_buckets(),
        )
        return self._asked

    def learn(self, wanted: Wanted, inputs: Inputs) -> None:
        """Take the answer to the latest `wanted`: what is not in it does not exist."""
        assert wanted is self._asked, "an answer to another question"
        self.balances.learn(inputs.balances)
        self.assets.learn(inputs.assets)
        self.objects.learn(inputs.objects)
        self.writers.learn(inputs.writers)
        self.remembered.learn(inputs.digests, inputs.buckets)
        self._asked = None

    def resolved(self, verdicts: Verdicts) -> Resolved:
        """The verdicts of the latest `wanted`, whose answer has been learned."""
        resolved = self._resolved
        assert resolved is not None, "verdicts were not asked for"
        assert resolved.verdicts is verdicts, "other verdicts were asked for"
        assert self._asked is None, "the answer has not been learned"
        self._resolved = None
        return resolved

    def committed(self) -> None:
        """The flush of the oldest group in flight is durable."""
        self.remembered.committed()

    @property
    def size_bytes(self) -> int:
        """What the cache takes in memory, about."""
        counted = self.balances.size_bytes + _DIGEST_BYTES * len(self.remembered)
        return counted + self.assets.size_bytes + self.objects.size_bytes + self.writers.size_bytes

    def forget(self) -> None:
        """Drop the whole cache. Nothing may be in flight: what is, the database does not know yet."""
        assert not self.remembered.is_in_flight, "a flush is in flight"
        self._drop()

    def _drop(self) -> None:
        self.balances = Balances()
        self.assets: Cache[Asset] = Cache(_VALUE_BYTES)
        self.objects: Cache[Object] = Cache(_VALUE_BYTES)
        self.writers = Writers()
        self.remembered = Remembered()
        self._resolved = None
        self._asked = None

    def _resolve(self, verdicts: Verdicts) -> Resolved:
        resolved = Resolved(
            verdicts,
            verdicts.items.tolist(),
            verdicts.commands.tolist(),
            [0] * len(verdicts.commands),
            [0] * len(verdicts.recipients),
            np.zeros(len(verdicts.recipients), np.int64),
            verdicts.amounts.tolist(),
        )
        recipients = verdicts.recipients.tolist()
        for item in resolved.items:
            _, _, _, _, reason, has_digest, digest, signer, expires_at_ms, start, stop = item
            if has_digest and (not reason or reason in AFTER_DIGEST):
                self.remembered.want(digest, expires_at_ms)
            if not reason:
                self._resolve_commands(resolved, recipients, signer, start, stop)
        resolved.recipient_column[:] = resolved.recipients
        return resolved

    def _resolve_commands(
        self, resolved: Resolved, recipients: list[bytes], signer: bytes, start: int, stop: int
    ) -> None:
        for position in range(start, stop):
            kind, _, asset, first, last = resolved.commands[position]
            if kind == KIND_TRANSFER:
                self.assets.want(asset)
                resolved.senders[position] = self.balances.slot_of(asset, signer)
                resolved.recipients[first:last] = self.balances.slots_of(asset, recipients[first:last])
            else:
                for command in resolved.verdicts.others[first:last]:
                    self._want(command, signer)

    def _want(self, command: Any, signer: bytes) -> None:
        read = READS[type(command)](command, signer)
        for asset in read.assets:
            self.assets.want(asset)
        for key in read.objects:
            self.objects.want(key)
        for key in read.written:
            self.writers.want(key, signer)
        for asset, address in read.balances:
            self.balances.slot_of(asset, address)
