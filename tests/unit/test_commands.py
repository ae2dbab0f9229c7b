"""Every command: there and back, and each bound from both sides."""

from typing import get_args

import pytest

from ledger.commands import (
    Burn,
    Command,
    CreateAsset,
    CreateObject,
    DeleteObject,
    FreezeObject,
    Mint,
    ShareObject,
    Transfer,
    TransferObject,
    UpdateObject,
)
from ledger.commands.rules import check_command
from ledger.genesis import DEFAULT_LIMITS
from ledger.rejection import Reason
from ledger.transaction import Body, decode_body, encode_body
from tests.builders import address, body, limits, transfer

ID = bytes(range(32))
A = address(1)
AMOUNT_MAX = 2**63 - 1

GOOD: list[Command] = [
    CreateAsset("a", 0, A),
    CreateAsset("ü" * 32, 18, A),
    Mint(ID, A, 1),
    Mint(ID, A, AMOUNT_MAX),
    Burn(ID, 1),
    Burn(ID, AMOUNT_MAX),
    transfer([A], [1]),
    transfer([A, ID, bytes(32)], [1, 2, AMOUNT_MAX]),
    transfer([A] * 10_000, [AMOUNT_MAX] * 10_000),
    CreateObject("t", "m", b"", None),
    CreateObject("~" * 128, " " * 128, bytes(65_536), ()),
    CreateObject("t", "m", b"c", (A,) * 256),
    UpdateObject(ID, 0, "m", b""),
    UpdateObject(ID, AMOUNT_MAX, "m" * 128, bytes(65_536)),
    TransferObject(ID, 0, A),
    ShareObject(ID, 1, ()),
    ShareObject(ID, 1, (A,) * 256),
    FreezeObject(ID, 1),
    DeleteObject(ID, 1),
]

BAD: list[tuple[Command, Reason]] = [
    (CreateAsset("", 0, A), Reason.FIELD_RANGE),
    (CreateAsset("a" * 65, 0, A), Reason.FIELD_RANGE),
    (CreateAsset("ü" * 33, 0, A), Reason.FIELD_RANGE),
    (CreateAsset("a\x00", 0, A), Reason.FIELD_RANGE),
    (CreateAsset("a\n", 0, A), Reason.FIELD_RANGE),
    (CreateAsset("a\x7f", 0, A), Reason.FIELD_RANGE),
    (CreateAsset("a", -1, A), Reason.FIELD_RANGE),
    (CreateAsset("a", 19, A), Reason.FIELD_RANGE),
    (Mint(ID, A, 0), Reason.AMOUNT_RANGE),
    (Mint(ID, A, -1), Reason.AMOUNT_RANGE),
    (Burn(ID, 0), Reason.AMOUNT_RANGE),
    (Burn(ID, -(2**63)), Reason.AMOUNT_RANGE),
    (transfer([A], [0]), Reason.AMOUNT_RANGE),
    (transfer([A], [-1]), Reason.AMOUNT_RANGE),
    (transfer([A, A], [1, 0]), Reason.AMOUNT_RANGE),
    (transfer([A, A, A], [1, -(2**63), 1]), Reason.AMOUNT_RANGE),
    (Transfer(ID, A, (2**63).to_bytes(8, "big")), Reason.AMOUNT_RANGE),
    (Transfer(ID, A, b"\xff" * 8), Reason.AMOUNT_RANGE),
    (transfer([], []), Reason.RECIPIENTS_COUNT),
    (transfer([A] * 10_001, [1] * 10_001), Reason.RECIPIENTS_COUNT),
    (transfer([A], [1, 1]), Reason.RECIPIENTS_COUNT),
    (transfer([A, A], [1]), Reason.RECIPIENTS_COUNT),
    (Transfer(ID, A[:31], bytes(7) + b"\x01"), Reason.RECIPIENTS_COUNT),
    (Transfer(ID, A, bytes(7)), Reason.RECIPIENTS_COUNT),
    (CreateObject("", "m", b"", None), Reason.FIELD_RANGE),
    (CreateObject("t" * 129, "m", b"", None), Reason.FIELD_RANGE),
    (CreateObject("tü", "m", b"", None), Reason.FIELD_RANGE),
    (CreateObject("t\x00", "m", b"", None), Reason.FIELD_RANGE),
    (CreateObject("t", "", b"", None), Reason.FIELD_RANGE),
    (CreateObject("t", "m\x7f", b"", None), Reason.FIELD_RANGE),
    (CreateObject("t", "m", bytes(65_537), None), Reason.CONTENT_SIZE),
    (CreateObject("t", "m", b"", (A,) * 257), Reason.FIELD_RANGE),
    (UpdateObject(ID, -1, "m", b""), Reason.FIELD_RANGE),
    (UpdateObject(ID, 1, "", b""), Reason.FIELD_RANGE),
    (UpdateObject(ID, 1, "m", bytes(65_537)), Reason.CONTENT_SIZE),
    (TransferObject(ID, -1, A), Reason.FIELD_RANGE),
    (ShareObject(ID, -1, ()), Reason.FIELD_RANGE),
    (ShareObject(ID, 1, (A,) * 257), Reason.FIELD_RANGE),
    (FreezeObject(ID, -1), Reason.FIELD_RANGE),
    (DeleteObject(ID, -1), Reason.FIELD_RANGE),
]


def named(case: object) -> str:
    return type(case).__name__ if isinstance(case, get_args(Command)) else str(case)


@pytest.mark.parametrize("command", GOOD, ids=named)
def test_a_command_in_range_goes_there_and_back(command: Command) -> None:
    assert check_command(command, DEFAULT_LIMITS) is None
    decoded = decode_body(encode_body(body(command)), DEFAULT_LIMITS)
    assert isinstance(decoded, Body)
    assert decoded.commands == (command,)


@pytest.mark.parametrize(("command", "reason"), BAD, ids=named)
def test_a_command_out_of_range_is_refused_with_its_reason(command: Command, reason: Reason) -> None:
    rejection = check_command(command, DEFAULT_LIMITS)
    assert rejection is not None
    assert rejection.reason == reason
    assert decode_body(encode_body(body(command)), DEFAULT_LIMITS) == rejection


def test_every_kind_of_command_is_tried() -> None:
    assert {type(command) for command in GOOD} == set(get_args(Command))


def test_the_limits_of_genesis_hold() -> None:
    rejection = check_command(transfer([A, A], [1, 1]), limits(recipients_max=1))
    assert rejection is not None
    assert rejection.reason == Reason.RECIPIENTS_COUNT
