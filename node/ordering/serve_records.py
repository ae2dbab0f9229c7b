"""The peers process: gives other validators the records that this node holds.

Nothing of the node waits for it, and nothing that happens to it stops the node: an address that is taken or a
certificate that cannot be used is logged, and tried again.
"""

import os
import ssl
from functools import partial
from typing import Final

import structlog

from ledger.genesis import Genesis
from node.home.layout import Home
from node.metrics.values import Values
from node.metrics.writing import writing
from node.process.process import Process
from node.settings.tree import PeersSettings, Settings
from node.wiring import range_limits
from serving.limits import Limits
from serving.server import Listener, listening, serve, tcp_socket
from sync.address import host_and_port
from sync.server import OUTCOMES, RecordLimits, Records

NICENESS: Final = 5
"""What others ask for must not take the processor from consensus and execution."""

_log = structlog.get_logger()


def run_peers(process: Process) -> None:
    """Until SIGTERM. Raises: HomeUnusable, where `genesis.json` cannot be read."""
    os.nice(NICENESS)
    records = _records(process.home, process.settings, process.home.genesis())
    values = Values("peers")
    told = partial(_count, values, records)
    told()
    peers = process.settings.peers
    with writing(process.home, "peers", process.settings.metrics, values, told):
        on = listening(process, partial(_listener, process.home, peers), peers.listen)
        if on is not None:
            with on.socket:
                serve(process, records, on, connection_limits(peers))
    _log.info("peers served", **records.counts)


def connection_limits(peers: PeersSettings) -> Limits:
    """A request is sent in `connection_ms`, and its answer taken in as much."""
    wait_s = peers.connection_ms / 1000
    return Limits(peers.connections_max, head_s=wait_s, answer_s=wait_s)


def _count(values: Values, records: Records) -> None:
    for outcome in OUTCOMES:
        values.set("momus_peers_requests_total", records.counts.get(outcome, 0), outcome)


def _records(home: Home, settings: Settings, genesis: Genesis) -> Records:
    limits = RecordLimits(range_limits(settings, genesis), settings.peers.requests_max)
    return Records(home.store, home.retained, genesis.partitions, limits)


def _listener(home: Home, peers: PeersSettings) -> Listener:
    """Raises: OSError where the address is taken, or the certificate cannot be used."""
    tls = None
    if peers.certificate_file is not None and peers.certificate_key_file is not None:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(home.resolve(peers.certificate_file), home.resolve(peers.certificate_key_file))
    return Listener(tcp_socket(*host_and_port(peers.listen)), tls)
