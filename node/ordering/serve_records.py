"""The peers process: gives other validators the records that this node holds.

Nothing of the node waits for it, and nothing that happens to it stops the node: an address that is taken or a
certificate that cannot be used is said, and tried again.
"""

import os
import socket
import threading
from functools import partial
from typing import TYPE_CHECKING, Final

import structlog

from ledger.genesis import Genesis
from node.home.layout import Home
from node.metrics.values import Values
from node.metrics.writing import writing
from node.process.process import Process
from node.settings.tree import Settings
from node.wiring import range_limits
from sync.address import host_and_port

if TYPE_CHECKING:
    from sync.server import Records, RecordServer

RETRY_S: Final = 0.5
RETRY_S_MAX: Final = 30.0
NICENESS: Final = 5
"""What others ask for must not take the processor from consensus and execution."""
_BACKLOG: Final = 64
_TICK_S: Final = 0.5

_log = structlog.get_logger()


def run_peers(process: Process) -> None:
    """Until SIGTERM. Raises: HomeUnusable, where `genesis.json` cannot be read."""
    os.nice(NICENESS)
    records = _records(process.home, process.settings, process.home.genesis())
    values = Values("peers")
    told = partial(_count, values, records)
    told()
    with writing(process.home, "peers", process.settings.metrics, values, told):
        _serve_until_stopped(process, records)
    _log.info("peers served", **records.counts)


def _count(values: Values, records: "Records") -> None:
    from sync.server import OUTCOMES

    for outcome in OUTCOMES:
        values.set("momus_peers_requests_total", records.counts.get(outcome, 0), outcome)


def _serve_until_stopped(process: Process, records: "Records") -> None:
    wait_s = RETRY_S
    while not process.stop.is_set():
        try:
            server = _server(process, records)
        except OSError as error:
            what = f"cannot serve records at {process.settings.peers.listen}: {error}"
            process.on_waiting(what)
            _log.warning("peers", reason=what, again_in_s=wait_s)
        else:
            _serve(process, server)
        process.stop.wait(wait_s)
        wait_s = min(RETRY_S_MAX, 2 * wait_s)


def _records(home: Home, settings: Settings, genesis: Genesis) -> "Records":
    from sync.server import Records, ServerLimits

    peers = settings.peers
    limits = ServerLimits(
        range_limits(settings, genesis), peers.requests_max, peers.connections_max, peers.connection_ms
    )
    return Records(home.store, home.aside, genesis.partitions, limits)


def _server(process: Process, records: "Records") -> "RecordServer":
    """Raises: OSError where the address is taken, or the certificate cannot be used."""
    # Other processes know this module by name only, and should not load a web server.
    from sync.server import Certificate, RecordServer

    peers, home = process.settings.peers, process.home
    certificate = None
    if peers.certificate_file is not None and peers.certificate_key_file is not None:
        certificate = Certificate(home.resolve(peers.certificate_file), home.resolve(peers.certificate_key_file))
    host, port = host_and_port(peers.listen)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    try:
        return RecordServer(records, listener, certificate)
    except OSError:
        listener.close()
        raise


def _serve(process: Process, server: "RecordServer") -> None:
    """Until the process is asked to stop, or the server ends by itself."""
    thread = threading.Thread(target=partial(server.run, process.on_running), name="server")
    thread.start()
    while thread.is_alive() and not process.stop.wait(_TICK_S):
        pass
    server.stop()
    thread.join()
