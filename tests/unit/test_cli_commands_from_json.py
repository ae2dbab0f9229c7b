"""Commands as people write them: one object each, everything checked, nothing ignored."""

import pytest

from cli.command_parsing import BadCommand, Names, command_of
from ledger import commands
from ledger.commands import Command

ME, YOU, ASSET, OBJECT = (bytes([number]) * 32 for number in range(1, 5))


def find(name: str) -> bytes:
    if name != "EUR":
        raise BadCommand(f"there is no asset of the name {name!r}; give the asset's id")
    return ASSET


NAMES = Names(ME, find)


@pytest.mark.parametrize(
    ("kind", "fields", "command"),
    [
        ("create_asset", {"name": "EUR", "decimals": 2}, commands.CreateAsset("EUR", 2, ME)),
        ("create_asset", {"name": "X", "issuer": YOU.hex()}, commands.CreateAsset("X", 0, YOU)),
        ("mint", {"asset": "EUR", "amount": 5}, commands.Mint(ASSET, ME, 5)),
        ("mint", {"asset": OBJECT.hex(), "to": YOU.hex(), "amount": 5}, commands.Mint(OBJECT, YOU, 5)),
        ("burn", {"asset": "EUR", "amount": 2**63 - 1}, commands.Burn(ASSET, 2**63 - 1)),
        (
            "transfer",
            {"asset": "EUR", "to": YOU.hex(), "amount": 258},
            commands.Transfer(ASSET, YOU, bytes([0, 0, 0, 0, 0, 0, 1, 2])),
        ),
        (
            "transfer",
            {"asset": "EUR", "payments": [[YOU.hex(), 1], ["me", 2]]},
            commands.Transfer(ASSET, YOU + ME, bytes(7) + b"\x01" + bytes(7) + b"\x02"),
        ),
        (
            "create_object",
            {"type": "note", "content": '{"a": 1}'},
            commands.CreateObject("note", "application/json", b'{"a": 1}', None),
        ),
        (
            "create_object",
            {"type": "note", "media_type": "image/png", "content_hex": "89", "writers": ["me"]},
            commands.CreateObject("note", "image/png", b"\x89", (ME,)),
        ),
        (
            "update_object",
            {"object": OBJECT.hex(), "version": 0, "content": "x", "media_type": "text/plain"},
            commands.UpdateObject(OBJECT, 0, "text/plain", b"x"),
        ),
        (
            "transfer_object",
            {"object": OBJECT.hex(), "version": 1, "to": YOU.hex()},
            commands.TransferObject(OBJECT, 1, YOU),
        ),
        ("share_object", {"object": OBJECT.hex(), "version": 1}, commands.ShareObject(OBJECT, 1, ())),
        ("freeze_object", {"object": OBJECT.hex(), "version": 1}, commands.FreezeObject(OBJECT, 1)),
        ("delete_object", {"object": OBJECT.hex(), "version": 1}, commands.DeleteObject(OBJECT, 1)),
    ],
)
def test_written_command_becomes_its_value(kind: str, fields: dict[str, object], command: Command) -> None:
    assert command_of({kind: fields}, NAMES) == command


@pytest.mark.parametrize(
    ("document", "why"),
    [
        ([], "one key"),
        ({}, "one key"),
        ({"mint": {}, "burn": {}}, "one key"),
        ({"steal": {}}, "steal is none of"),
        ({"mint": []}, "object with its fields"),
        ({"mint": {"amount": 1}}, "mint needs asset"),
        ({"mint": {"asset": "EUR", "amount": 1, "fee": 1}}, "mint has no fee"),
        ({"mint": {"asset": "USD", "amount": 1}}, "no asset of the name 'USD'"),
        ({"mint": {"asset": "EUR", "amount": 0}}, "amount is a whole number"),
        ({"mint": {"asset": "EUR", "amount": 2**63}}, "amount is a whole number"),
        ({"mint": {"asset": "EUR", "amount": 1.0}}, "amount is not a int"),
        ({"mint": {"asset": "EUR", "amount": True}}, "amount is not a int"),
        ({"mint": {"asset": "EUR", "amount": 1, "to": "bob"}}, "64 hex digits"),
        ({"transfer": {"asset": "EUR", "payments": [["me"]]}}, "list of"),
        ({"transfer": {"asset": "EUR", "payments": [["me", "1"]]}}, "whole number"),
        ({"create_object": {"type": "x", "content_hex": "zz"}}, "not hex"),
        ({"create_object": {"type": "x", "content": "", "writers": [1]}}, "64 hex digits"),
        ({"freeze_object": {"object": "ab", "version": 1}}, "64 hex digits"),
    ],
)
def test_what_is_no_command_is_refused_with_its_reason(document: object, why: str) -> None:
    with pytest.raises(BadCommand, match=why):
        command_of(document, NAMES)
