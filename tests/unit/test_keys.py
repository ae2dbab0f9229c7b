"""Keys and signatures, and the keys that `cryptography` would accept although they sign anything."""

import pytest

from ledger import digests
from ledger.keys import SMALL_ORDER_Y, PrivateKey, is_acceptable_key, verify
from tests.builders import key

P = 2**255 - 19
D = -121665 * pow(121666, -1, P) % P
IDENTITY = (0, 1)
Point = tuple[int, int]


def add(left: Point, right: Point) -> Point:
    """The sum of two points of edwards25519 (RFC 8032, §5.1.4, in affine coordinates)."""
    (x1, y1), (x2, y2) = left, right
    k = D * x1 * x2 * y1 * y2
    return (x1 * y2 + x2 * y1) * pow(1 + k, -1, P) % P, (y1 * y2 + x1 * x2) * pow(1 - k, -1, P) % P


def root(square: int) -> int | None:
    """A square root modulo P; None: there is none."""
    x = pow(square, (P + 3) // 8, P)
    for candidate in (x, x * pow(2, (P - 1) // 4, P) % P):
        if (candidate * candidate - square) % P == 0:
            return candidate
    return None


def point(y: int) -> Point:
    x = root((y * y - 1) * pow(D * y * y + 1, -1, P) % P)
    assert x is not None
    return x, y


def order(start: Point) -> int:
    """The order of a point, or 9 where it is larger than 8."""
    count, current = 1, start
    while current != IDENTITY and count < 9:
        current, count = add(current, start), count + 1
    return count


def spelt(y: int, sign: int = 0) -> bytes:
    return (y | sign << 255).to_bytes(32, "little")


def test_a_signature_verifies_under_its_key_and_message_alone() -> None:
    signature = key(0).sign(b"message")
    assert verify(key(0).public_key, b"message", signature)
    assert not verify(key(0).public_key, b"massage", signature)
    assert not verify(key(1).public_key, b"message", signature)
    assert not verify(key(0).public_key, b"message", signature[:63])
    assert not verify(key(0).public_key[:31], b"message", signature)


def test_the_small_orders_are_complete() -> None:
    """Eight points have an order that divides 8: one each of order 1 and 2, two of order 4, four of order 8."""
    assert sorted(order(point(y)) for y in SMALL_ORDER_Y) == [1, 2, 4, 8, 8]


@pytest.mark.parametrize("sign", [0, 1])
@pytest.mark.parametrize("y", sorted(SMALL_ORDER_Y))
def test_keys_of_small_order_are_refused(y: int, sign: int) -> None:
    assert not is_acceptable_key(spelt(y, sign))
    assert not verify(spelt(y, sign), b"any", spelt(1) + bytes(32))


@pytest.mark.parametrize("sign", [0, 1])
@pytest.mark.parametrize("y", range(P, 2**255))
def test_keys_spelt_with_a_y_of_p_or_more_are_refused(y: int, sign: int) -> None:
    assert not is_acceptable_key(spelt(y, sign))


def test_the_identity_and_p_plus_one_sign_nothing_here() -> None:
    forged = spelt(1) + bytes(32)  # R = identity, S = 0
    for weak in (spelt(1), spelt(P + 1)):
        assert not verify(weak, b"any message", forged)


def test_a_signature_with_s_plus_the_group_order_is_refused() -> None:
    signature = key(0).sign(b"m")
    group_order = 2**252 + 27742317777372353535851937790883648493
    s = int.from_bytes(signature[32:], "little") + group_order
    assert not verify(key(0).public_key, b"m", signature[:32] + s.to_bytes(32, "little"))


def test_a_key_that_is_no_point_of_the_curve_signs_nothing() -> None:
    off = next(y for y in range(2, 100) if root((y * y - 1) * pow(D * y * y + 1, -1, P) % P) is None)
    assert is_acceptable_key(spelt(off))
    assert not verify(spelt(off), b"m", key(0).sign(b"m"))


@pytest.mark.parametrize("size", [0, 31, 33])
def test_keys_of_another_size_are_refused(size: int) -> None:
    assert not is_acceptable_key(bytes(size))


def test_a_key_comes_from_its_seed_and_shows_only_its_address() -> None:
    made = PrivateKey.generate()
    again = PrivateKey.from_seed(made.seed)
    assert (again.public_key, again.address) == (made.public_key, digests.address_of(made.public_key))
    assert made.seed.hex() not in repr(made)
    assert is_acceptable_key(made.public_key)
    with pytest.raises(ValueError):
        PrivateKey.from_seed(bytes(31))
