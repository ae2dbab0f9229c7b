"""Signatures in the simulator: real ones, each made once and checked once per process.

Ed25519 signatures are deterministic, so what a key of ours has signed is known to be good; whatever else turns up is
verified for real. Both memories are keyed by everything that the answer depends on.
"""

from functools import lru_cache

from consensus.wire.messages import Message, Wire
from ledger.committee import Committees
from ledger.genesis import Genesis
from ledger.keys import PrivateKey, verify
from ledger.rejection import Rejection

_MEMORY_MAX = 200_000
_made: dict[tuple[bytes, bytes], bytes] = {}


class MemoKey(PrivateKey):
    """A key whose signatures are remembered."""

    __slots__ = ()

    def sign(self, message: bytes) -> bytes:
        known = _made.get((self.public_key, message))
        if known is None:
            if len(_made) > _MEMORY_MAX:
                _made.clear()
            known = _made[self.public_key, message] = super().sign(message)
        return known


def verify_memoised(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """As `ledger.keys.verify`."""
    if _made.get((public_key, message)) == signature:
        return True
    return _verify(public_key, message, signature)


@lru_cache(_MEMORY_MAX)
def _verify(public_key: bytes, message: bytes, signature: bytes) -> bool:
    return verify(public_key, message, signature)


class MemoWire(Wire):
    """For those who watch and those who lie: reads each record once. Validators read all of theirs."""

    def __init__(self, genesis: Genesis) -> None:
        super().__init__(genesis, Committees.of(genesis), verify_memoised)
        self._read: dict[bytes | None, Message | Rejection] = {}

    def decode(self, value: bytes | None) -> Message | Rejection:
        known = self._read.get(value)
        if known is None:
            known = self._read[value] = super().decode(value)
        return known
