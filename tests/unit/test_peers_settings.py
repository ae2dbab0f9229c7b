"""The addresses of peers: what is one, where it is written down, how a new committee gets its own."""

from pathlib import Path

import pytest

from ledger.genesis import Genesis
from node.home.layout import Home
from node.settings.tree import BadSettings, Settings, read_settings
from node.setup.make_settings import Endpoints, settings_text
from node.wiring import range_limits, record_source
from sync.address import checked_address, host_and_port
from sync.records import RangeLimits
from tests import builders


@pytest.fixture
def genesis() -> Genesis:
    return builders.genesis(4)


def test_addresses_come_from_the_file_or_in_one_variable(tmp_path: Path) -> None:
    file = tmp_path / "momus.toml"
    file.write_text('[peers]\nlisten = "[::1]:7001"\nurls = ["http://a:1", "https://b:2/"]\n')
    peers = read_settings(file, {}).peers
    assert (peers.listen, peers.urls) == ("[::1]:7001", ("http://a:1", "https://b:2"))
    variables = {"MOMUS_PEERS__URLS": "http://c:3, http://d:4,", "MOMUS_PEERS__LISTEN": "127.0.0.1:7002"}
    peers = read_settings(file, variables).peers
    assert (peers.listen, peers.urls) == ("127.0.0.1:7002", ("http://c:3", "http://d:4"))
    assert read_settings(file, {"MOMUS_PEERS__URLS": ""}).peers.urls == ()


@pytest.mark.parametrize(
    ("name", "value", "key"),
    [
        ("LISTEN", "7000", "peers.listen"),
        ("LISTEN", "h:0", "peers.listen"),
        ("LISTEN", "h:99999", "peers.listen"),
        ("LISTEN", "http://h:1", "peers.listen"),
        ("URLS", "h:1", "peers.urls"),
        ("URLS", "http://h:1,ftp://h:1", "peers.urls"),
        ("CERTIFICATE_FILE", "c.pem", "peers"),
        ("URLZ", "", "peers.urlz"),
    ],
)
def test_what_is_no_address_refuses_to_start(name: str, value: str, key: str) -> None:
    with pytest.raises(BadSettings, match=key):
        read_settings(None, {f"MOMUS_PEERS__{name}": value})


@pytest.mark.parametrize(
    "text", ["", "http://", "h", "h:1", "http://h:99999", "http://h:x", "http://[::1", "http://u@h:1", "http://h:1/a?b"]
)
def test_an_address_of_a_peer_has_a_scheme_and_a_host_and_nothing_behind(text: str) -> None:
    with pytest.raises(ValueError, match="no address of a peer"):
        checked_address(text)
    assert checked_address("https://example.org:1/") == "https://example.org:1"


def test_where_to_listen_is_a_host_and_a_port() -> None:
    assert host_and_port("[::1]:7") == ("::1", 7)
    assert host_and_port("h:65535") == ("h", 65535)
    for text in ("", ":7", "h", "h:", "h:0", "h:65536", "h:7/", "u@h:7", "h h:7"):
        with pytest.raises(ValueError, match="host:port"):
            host_and_port(text)


def test_a_new_home_knows_where_it_listens_and_whom_to_ask(tmp_path: Path) -> None:
    file = tmp_path / "momus.toml"
    file.write_text(settings_text("alice", Endpoints(listen="127.0.0.1:7001", peers=("http://h:1", "http://h:2"))))
    peers = read_settings(file, {}).peers
    assert (peers.listen, peers.urls) == ("127.0.0.1:7001", ("http://h:1", "http://h:2"))


def test_who_knows_no_peers_asks_nobody(tmp_path: Path, genesis: Genesis) -> None:
    assert record_source(Home(tmp_path), Settings(), genesis) is None
    settings = read_settings(None, {"MOMUS_PEERS__URLS": "http://h:1,http://h:2"})
    source = record_source(Home(tmp_path), settings, genesis)
    assert source is not None
    assert [peer.url for peer in source.peers] == ["http://h:1", "http://h:2"]


def test_a_file_of_authorities_that_cannot_be_used_is_named(tmp_path: Path, genesis: Genesis) -> None:
    settings = read_settings(None, {"MOMUS_PEERS__URLS": "https://h:1", "MOMUS_PEERS__CA_FILE": "ca.pem"})
    with pytest.raises(BadSettings, match=r"peers\.ca_file: .*ca\.pem"):
        record_source(Home(tmp_path), settings, genesis)


def test_a_range_may_be_as_large_as_two_blocks_whatever_the_settings_say(genesis: Genesis) -> None:
    small = read_settings(None, {"MOMUS_PEERS__RECORDS_MAX": "100", "MOMUS_PEERS__BYTES_MAX": "1048576"})
    limits = range_limits(small, genesis)
    assert limits.records_max >= 2 * genesis.limits.records_max
    assert limits.bytes_max >= 2 * genesis.limits.bytes_max + 12 * limits.records_max
    assert range_limits(Settings(), genesis).records_max == RangeLimits().records_max
