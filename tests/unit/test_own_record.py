"""What a node says of itself: what it serves, where others can reach that."""

import pytest

from node.ordering.own_record import own_of
from node.settings.tree import BadSettings, read_settings
from tests.builders import validator_key

KAFKA = {"MOMUS_LOG__KIND": "kafka"}
TLS = {"MOMUS_PEERS__CERTIFICATE_FILE": "c", "MOMUS_PEERS__CERTIFICATE_KEY_FILE": "k"}


@pytest.mark.parametrize(
    ("environment", "address"),
    [
        ({}, ""),
        ({"MOMUS_PEERS__LISTEN": "127.0.0.1:7400"}, "http://127.0.0.1:7400"),
        ({"MOMUS_PEERS__LISTEN": "[::1]:7400"}, "http://[::1]:7400"),
        ({"MOMUS_PEERS__LISTEN": "127.0.0.1:7400"} | KAFKA, ""),
        ({"MOMUS_PEERS__LISTEN": "localhost:7400"} | KAFKA, ""),
        ({"MOMUS_PEERS__LISTEN": "10.0.0.7:7400"} | KAFKA, "http://10.0.0.7:7400"),
        ({"MOMUS_PEERS__LISTEN": "pear.example:7400"} | KAFKA | TLS, "https://pear.example:7400"),
        ({"MOMUS_PEERS__LISTEN": "0.0.0.0:7400"}, ""),
        ({"MOMUS_PEERS__LISTEN": "[::]:7400"}, ""),
        (
            {"MOMUS_PEERS__LISTEN": "0.0.0.0:7400", "MOMUS_DISCOVERY__SYNC_ADDRESS": "https://a.example:7400"},
            "https://a.example:7400",
        ),
    ],
)
def test_node_tells_where_its_records_are_had_if_others_can_reach_that(
    environment: dict[str, str], address: str
) -> None:
    told = own_of(read_settings(None, {"MOMUS_API__PORT": "0", **environment}), validator_key(0))
    assert told.sync_address == address
    assert told.roles == (("records", "validator") if address else ("validator",))
    assert told.record(1, {"height": 7, "certified_height": 5}).sync_address == address


@pytest.mark.parametrize(
    ("environment", "address"),
    [
        ({}, "http://127.0.0.1:8464"),
        ({"MOMUS_API__PORT": "0"}, ""),
        ({"MOMUS_API__PORT": "8080"}, "http://127.0.0.1:8080"),
        ({"MOMUS_API__PORT": "8080"} | KAFKA, ""),
        ({"MOMUS_API__PORT": "8080", "MOMUS_API__HOST": "0.0.0.0"}, ""),
        ({"MOMUS_API__PORT": "8080", "MOMUS_API__HOST": "::1"}, "http://[::1]:8080"),
        ({"MOMUS_API__PORT": "8080", "MOMUS_API__HOST": "node.example"} | KAFKA, "http://node.example:8080"),
        ({"MOMUS_API__PORT": "8080", "MOMUS_API__HOST": "<b>"} | KAFKA, ""),
        ({"MOMUS_DISCOVERY__API_ADDRESS": "https://a.example"}, "https://a.example"),
    ],
)
def test_node_tells_where_its_api_is_had_if_others_can_reach_that(environment: dict[str, str], address: str) -> None:
    told = own_of(read_settings(None, environment), validator_key(0))
    assert told.api_address == address
    assert told.roles == (("api", "validator") if address else ("validator",))


@pytest.mark.parametrize(
    ("environment", "what"),
    [
        ({"MOMUS_DISCOVERY__API_ADDRESS": "javascript:alert(1)"}, "is no address"),
        ({"MOMUS_DISCOVERY__SYNC_ADDRESS": "a.example:7400"}, "is no address"),
        ({"MOMUS_DISCOVERY__EVERY_MS": "100"}, "at least 200"),
        ({"MOMUS_DISCOVERY__EVERY_MS": "40000"}, "more than every_ms"),
        ({"MOMUS_DISCOVERY__VALID_MS": "600001"}, "600000"),
    ],
)
def test_setting_that_nobody_could_use_is_refused(environment: dict[str, str], what: str) -> None:
    with pytest.raises(BadSettings, match=what):
        read_settings(None, environment)
