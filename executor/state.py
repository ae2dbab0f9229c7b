"""The executor's cache of what it has read or written: balances, assets, objects, remembered digests.

The executor is the only writer of its database, so what it holds stays true; what was written stays here at least
until its flush is durable, since only here a group finds what the group before it did.
"""

from typing import Any, Final

import numpy as np

from executor.caches import Caches
from executor.resolved import Resolved
from executor.rules import RULES
from ledger.columns import KIND_TRANSFER, Commands, Items, Verdicts
from ledger.rejection import Reason
from ledger.state import Inputs, Wanted

AFTER_DIGEST: Final = frozenset({int(Reason.WEAK_KEY), int(Reason.BAD_SIGNATURE)})
"""Reasons found without state that yield to DUPLICATE: the digest is tested before the signature."""


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
        self.caches.remembered.start_wanting()
        self._resolved = self._resolve(verdicts)
        self._asked = self.caches.wanted()
        return self._asked

    def learn(self, wanted: Wanted, inputs: Inputs) -> None:
        """Take the answer to the latest `wanted`: what is not in it does not exist."""
        assert wanted is self._asked, "an answer to another question"
        self.caches.learn(inputs)
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
        self.caches.remembered.committed()

    @property
    def size_bytes(self) -> int:
        """What the cache takes in memory, about."""
        return self.caches.size_bytes

    def forget(self) -> None:
        """Drop the whole cache. Nothing may be in flight: what is, the database does not know yet."""
        assert not self.caches.remembered.is_in_flight, "a flush is in flight"
        self._drop()

    def _drop(self) -> None:
        self.caches = Caches()
        self._resolved = None
        self._asked = None

    def _resolve(self, verdicts: Verdicts) -> Resolved:
        resolved = Resolved(
            verdicts,
            Items.of(verdicts.items),
            Commands.of(verdicts.commands),
            [0] * len(verdicts.commands),
            [0] * len(verdicts.recipients),
            np.zeros(len(verdicts.recipients), np.int64),
            verdicts.amounts.tolist(),
        )
        recipients = verdicts.recipients.tolist()
        items, want_digest = resolved.items, self.caches.remembered.want
        for row, reason in enumerate(items.reason):
            if items.has_digest[row] and (not reason or reason in AFTER_DIGEST):
                want_digest(items.digest[row], items.expires_at_ms[row])
            if not reason:
                start, stop = items.commands_start[row], items.commands_stop[row]
                self._resolve_commands(resolved, recipients, items.signer[row], start, stop)
        resolved.recipient_column[:] = resolved.recipients
        return resolved

    def _resolve_commands(
        self, resolved: Resolved, recipients: list[bytes], signer: bytes, start: int, stop: int
    ) -> None:
        commands, caches = resolved.commands, self.caches
        for row in range(start, stop):
            first, last = commands.start[row], commands.stop[row]
            if commands.kind[row] == KIND_TRANSFER:
                asset = commands.asset[row]
                caches.assets.want(asset)
                resolved.senders[row] = caches.balances.slot_of(asset, signer)
                resolved.recipients[first:last] = caches.balances.slots_of(asset, recipients[first:last])
            else:
                for command in resolved.verdicts.others[first:last]:
                    self._want(command, signer)

    def _want(self, command: Any, signer: bytes) -> None:
        caches = self.caches
        read = RULES[type(command)].reads(command, signer)
        for asset in read.assets:
            caches.assets.want(asset)
        for key in read.objects:
            caches.objects.want(key)
        for key in read.written:
            caches.writers.want(key, signer)
        for asset, address in read.balances:
            caches.balances.slot_of(asset, address)
