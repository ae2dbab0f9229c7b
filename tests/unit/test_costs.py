"""A transaction's cost is counted from its bytes; one that costs too much for them is rejected before state is read."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from ingest.verdicts import judge
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
    complete,
)
from ledger.commands.costs import COST_MAX, ENVELOPE_BYTES, is_too_costly, transaction_cost
from ledger.genesis import DEFAULT_LIMITS
from ledger.rejection import Reason
from ledger.transaction import check_body, decode_body, encode_body
from tests.builders import TIME_MS, address, body, genesis, record, transaction

GENESIS = genesis(1)
ID = bytes(32)

SMALLEST: dict[str, Command] = {
    "create_asset": CreateAsset("a", 0, ID),
    "mint": Mint(ID, ID, 1),
    "burn": Burn(ID, 1),
    "transfer": Transfer(ID, ID, (1).to_bytes(8)),
    "create_object": CreateObject("t", "m", b"", None),
    "update_object": UpdateObject(ID, 0, "m", b""),
    "transfer_object": TransferObject(ID, 0, ID),
    "share_object": ShareObject(ID, 0, ()),
    "freeze_object": FreezeObject(ID, 0),
    "delete_object": DeleteObject(ID, 0),
}
complete({type(command): command for command in SMALLEST.values()}, "SMALLEST")


@pytest.mark.parametrize("name", SMALLEST)
def test_the_smallest_command_alone_is_never_too_costly(name: str) -> None:
    assert check_body(body(SMALLEST[name]), DEFAULT_LIMITS) is None


@pytest.mark.parametrize("name", SMALLEST)
def test_every_command_costs_something_and_two_cost_more_than_one(name: str) -> None:
    command = SMALLEST[name]
    none, one, two = (transaction_cost([command] * count) for count in range(3))
    assert none < one < two


@pytest.mark.parametrize(
    "commands",
    [
        (Transfer(ID, b"".join(address(n) for n in range(40)), (1).to_bytes(8) * 40),) * 16,
        tuple(Mint(ID, address(n), 1) for n in range(16)),
        tuple(TransferObject(address(n), 1, ID) for n in range(16)),
        tuple(DeleteObject(address(n), 1) for n in range(16)),
        tuple(
            CreateObject("invoice", "application/json", b'{"number":%9d,"due":%9d}' % (n, n), None) for n in range(9)
        ),
        (CreateObject("t", "m", b"", tuple(address(n) for n in range(256))),),
        (CreateObject("document", "application/pdf", bytes(65_536), ()),) * 10,
    ],
)
def test_what_ordinary_clients_send_is_not_too_costly(commands: Sequence[Command]) -> None:
    assert check_body(body(*commands), DEFAULT_LIMITS) is None


TOO_COSTLY: dict[str, tuple[Command, ...]] = {
    "empty objects": tuple(CreateObject("t", "m", b"", None) for _ in range(16)),
    "burns of many assets": tuple(Burn(address(n), 1) for n in range(16)),
    "small updates": tuple(UpdateObject(address(n), 1, "m", b"") for n in range(16)),
}


@pytest.mark.parametrize("name", TOO_COSTLY)
def test_a_transaction_that_costs_too_much_is_rejected_for_it_alone(name: str) -> None:
    made = transaction(GENESIS.digest, *TOO_COSTLY[name])
    good = transaction(GENESIS.digest, TOO_COSTLY[name][0])
    verdicts = judge([(0, 0, TIME_MS, record(made, good))], GENESIS.digest, GENESIS.limits)
    assert verdicts.items["reason"].tolist() == [Reason.TOO_COSTLY, Reason.NONE]
    assert len(verdicts.others) == 1


def test_the_rule_is_of_the_bytes_of_the_body_and_of_nothing_else() -> None:
    commands = TOO_COSTLY["small updates"]
    cost = transaction_cost(commands)
    enough = -(-cost // COST_MAX) - ENVELOPE_BYTES
    assert is_too_costly(commands, enough - 1)
    assert not is_too_costly(commands, enough)
    longer = replace(body(*commands[:13]), reference=bytes(64))
    assert decode_body(encode_body(longer), DEFAULT_LIMITS) == longer


def test_a_body_that_announces_too_many_commands_is_refused_before_they_are_read() -> None:
    good = encode_body(body(SMALLEST["burn"]))
    at = good.index(b"\x02\x04" + ID)  # one command, of branch 2
    announced = good[:at] + b"\xfe\xff\x7f" + good[at + 1 :]
    read = decode_body(announced, DEFAULT_LIMITS)
    assert getattr(read, "reason", None) is Reason.COMMANDS_COUNT
