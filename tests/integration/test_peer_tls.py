"""Records over TLS: with a certificate of one's own, and from nobody whose certificate does not verify."""

from pathlib import Path

from backbone.store import StoreWriter
from ledger.header import Head
from sync.peers import PeerRecords
from tests.certificates import certificate
from tests.peer_servers import honest
from tests.store_records import chained, numbered, start

RECORDS = chained(numbered(5))
START = Head(0, 0, 0, start(0))
END = Head(0, 0, 5, RECORDS[-1].chain_digest)


def test_records_come_over_tls_from_who_shows_a_certificate_that_verifies(tmp_path: Path) -> None:
    own = certificate(tmp_path)
    with StoreWriter(tmp_path / "store") as writer:
        writer.append(0, RECORDS)
    with honest(tmp_path / "store", certificate=own) as (url, _):
        assert PeerRecords([url], ca_file=own.certificate_file).fetch(START, END) == RECORDS
        stranger = PeerRecords([url])
        assert stranger.fetch(START, END) is None
        assert "certificate" in stranger.peers[0].last_trouble.lower()
        in_clear = PeerRecords([url.replace("https", "http")])
        assert in_clear.fetch(START, END) is None
        assert in_clear.peers[0].failures == 1
