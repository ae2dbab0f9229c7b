"""Signatures in the simulator: real ones, each made once per process.

Ed25519 signatures are deterministic and nobody else makes them, so of a key of ours the good ones are known: what it
has signed, and nothing besides. Signatures of strangers' keys are verified for real.
"""

from functools import lru_cache
from typing import Final

from consensus.wire.messages import Message, Wire
from ledger.committee import Committees
from ledger.genesis import Genesis
from ledger.keys import PrivateKey, verify
from ledger.rejection import Rejection

_MEMORY_MAX: Final = 200_000


class _Memory:
    """What our keys have signed: key, then message, to signature. Forgets all when full, and says so."""

    def __init__(self) -> None:
        self.made: dict[bytes, dict[bytes, bytes]] = {}
        self.has_forgotten = False
        self._count = 0

    def keep(self, public_key: bytes, message: bytes, signature: bytes) -> None:
        if self._count == _MEMORY_MAX:
            self.made, self._count, self.has_forgotten = {}, 0, True
        self.made.setdefault(public_key, {})[message] = signature
        self._count += 1


_memory: Final = _Memory()


class MemoKey(PrivateKey):
    """A key whose signatures are remembered."""

    __slots__ = ()

    def sign(self, message: bytes) -> bytes:
        known = _memory.made.get(self.public_key, {}).get(message)
        if known is None:
            known = super().sign(message)
            _memory.keep(self.public_key, message, known)
        return known


def verify_memoised(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """As `ledger.keys.verify`."""
    made = _memory.made.get(public_key)
    known = None if made is None else made.get(message)
    if known is None and (made is None or _memory.has_forgotten):
        return _verify(public_key, message, signature)
    return known == signature


@lru_cache(_MEMORY_MAX)
def _verify(public_key: bytes, message: bytes, signature: bytes) -> bool:
    return verify(public_key, message, signature)


class MemoWire(Wire):
    """Reads each record once: decoding is a pure function of the bytes, and all of a world read the same ones."""

    def __init__(self, genesis: Genesis) -> None:
        super().__init__(genesis, Committees.of(genesis), verify_memoised)
        self._read: dict[bytes | None, Message | Rejection] = {}

    def decode(self, value: bytes | None) -> Message | Rejection:
        known = self._read.get(value)
        if known is None:
            known = self._read[value] = super().decode(value)
        return known
