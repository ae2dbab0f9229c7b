"""Ed25519 keys and signatures, through one verifier everywhere (`cryptography`).

That verifier alone accepts keys that verify almost anything, so keys of small order and keys spelt non-canonically
are refused first, by the y coordinate: both concern so few values of it that their sign does not matter.
"""

from functools import lru_cache
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from ledger import digests

KEY_SIZE: Final = 32
SIGNATURE_SIZE: Final = 64

_P: Final = 2**255 - 19
_SIGN_BIT: Final = 1 << 255
_ORDER_8_Y: Final = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
SMALL_ORDER_Y: Final = frozenset((0, 1, _P - 1, _ORDER_8_Y, _P - _ORDER_8_Y))
"""The y coordinates of the eight points whose order divides 8: 1 (order 1), -1 (2), 0 (4), the other two (8)."""

_LOADED_KEYS_MAX: Final = 8192


class PrivateKey:
    """A signing key. Its seed is the secret; `repr` shows only the address."""

    __slots__ = ("_key", "address", "public_key", "seed")

    def __init__(self, seed: bytes) -> None:
        """Raises: ValueError if `seed` is not 32 bytes."""
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.seed: Final = seed
        self.public_key: Final = self._key.public_key().public_bytes_raw()
        self.address: Final = digests.address_of(self.public_key)

    @classmethod
    def generate(cls) -> "PrivateKey":
        return cls(Ed25519PrivateKey.generate().private_bytes_raw())

    @classmethod
    def from_seed(cls, seed: bytes) -> "PrivateKey":
        return cls(seed)

    def sign(self, message: bytes) -> bytes:
        """64 bytes; the same message gives the same signature."""
        return self._key.sign(message)

    def __repr__(self) -> str:
        return f"PrivateKey(address={self.address.hex()})"


def is_acceptable_key(public_key: bytes) -> bool:
    """Whether it is 32 bytes, its y coordinate is below p = 2^255 - 19 and it is no point of small order.

    A key that is no point of the curve passes: no signature verifies under it.
    """
    if len(public_key) != KEY_SIZE:
        return False
    y = int.from_bytes(public_key, "little") & ~_SIGN_BIT
    return y < _P and y not in SMALL_ORDER_Y


def verify(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether `signature` is that of an acceptable key over `message`. Takes about 160 us; never raises."""
    key = _load(public_key)
    if key is None:
        return False
    try:
        key.verify(signature, message)
    except InvalidSignature:
        return False
    return True


@lru_cache(_LOADED_KEYS_MAX)
def _load(public_key: bytes) -> Ed25519PublicKey | None:
    return Ed25519PublicKey.from_public_bytes(public_key) if is_acceptable_key(public_key) else None
