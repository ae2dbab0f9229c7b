"""The peers process of real nodes: what a committee made final is had from any of its members."""

import re
import socket
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from backbone.store import StoreReader
from cli.main import run_line
from lab.demo.local_committee import LocalCommittee
from lab.demo.local_node import LocalNode
from ledger.header import Header, decode_header
from node.home.layout import Home
from node.wiring import record_source
from sync.peers import PeerRecords
from tests.patience import WAIT_S

pytestmark = [pytest.mark.postgres, pytest.mark.processes]


def test_records_of_final_blocks_come_from_every_other_validator() -> None:
    with TemporaryDirectory(prefix="momus-", ignore_cleanup_errors=True) as folder:
        place = Path(folder) / "chain"
        assert run_line(["init", "--validators", "3", "--partitions", "2", "--dev", "--home", str(place)]) == 0
        homes = [Home(path) for path in sorted(place.glob("validator-*"))]
        listens = [home.settings({}).peers.listen for home in homes]
        assert len(set(listens)) == 3
        with LocalCommittee([home.path for home in homes]) as committee:
            for node in committee.nodes:
                node.wait_running(["peers"], WAIT_S)
            header = _final_with_records(homes[0])
            for home in homes:
                _ask_each(home, header)
            for home in homes:
                _counted(home)
            assert committee.nodes[0].stop() == 0
            said = committee.nodes[0].status("peers")
            assert said is not None
            assert said.state == "stopped"


def test_a_taken_address_keeps_nobody_from_running_and_is_used_once_it_is_free() -> None:
    with TemporaryDirectory(prefix="momus-", ignore_cleanup_errors=True) as folder:
        home = Home(Path(folder) / "home")
        assert run_line(["init", "--dev", "--home", str(home.path)]) == 0
        with socket.create_server(("127.0.0.1", 0)) as taken:
            listen = f"127.0.0.1:{taken.getsockname()[1]}"
            home.settings_file.write_text(home.settings_file.read_text() + f'\n[peers]\nlisten = "{listen}"\n')
            node = LocalNode(home.path)
            node.start()
            assert _said_of_peers(node, "cannot answer") == "starting"
        try:
            node.wait_running(["order", "execute", "peers"], WAIT_S)
            header = _final_with_records(home)
            _check(PeerRecords([f"http://{listen}"]), home, header)
        finally:
            assert node.stop() == 0


def _said_of_peers(node: LocalNode, detail: str) -> str:
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        status = node.status("peers")
        if status is not None and detail in status.detail:
            return status.state
        time.sleep(0.1)
    raise AssertionError(f"the peers process did not say {detail}")


def _final_with_records(home: Home) -> Header:
    """The newest final block, once there is one."""
    deadline = time.monotonic() + WAIT_S
    with StoreReader(home.store) as stored:
        while time.monotonic() < deadline:
            height = stored.last_height()
            if height:
                header = decode_header(stored.final_after(height - 1, 1)[0].header_bytes, 64)
                assert isinstance(header, Header)
                return header
            time.sleep(0.1)
    raise AssertionError("no block became final")


def _ask_each(home: Home, header: Header) -> None:
    settings = home.settings({})
    assert len(settings.peers.urls) == 2
    source = record_source(home, settings, home.genesis())
    assert source is not None
    for _ in settings.peers.urls:
        _check(source, home, header)
    assert sum(peer.answers for peer in source.peers) > 0
    assert [peer.wrongs + peer.failures for peer in source.peers] == [0, 0]


def _counted(home: Home) -> None:
    """Until the process' own numbers tell of an answer."""
    answered = re.compile(rb'^momus_peers_requests_total\{outcome="answered",process="peers"\} [1-9]', re.MULTILINE)
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        file = home.metrics_file("peers")
        if file.exists() and answered.search(file.read_bytes()):
            return
        time.sleep(0.1)
    raise AssertionError("no answer was counted")


def _check(source: PeerRecords, home: Home, header: Header) -> None:
    """From genesis to the heads of a final block: what is fetched is what the store holds."""
    asked = 0
    with StoreReader(home.store) as stored:
        for before, head in zip(home.genesis().empty_heads(), header.heads, strict=True):
            if head.end_offset > before.end_offset:
                asked += 1
                assert source.fetch(before, head) == stored.records(head.partition, 0, head.end_offset)
    assert asked
