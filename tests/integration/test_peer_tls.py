"""Records over TLS: with a certificate of one's own, and from nobody whose certificate does not verify."""

import datetime
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from backbone.store import StoreWriter
from ledger.header import Head
from sync.peers import PeerRecords
from sync.server import Certificate
from tests.peer_servers import honest
from tests.store_records import chained, numbered, start

RECORDS = chained(numbered(5))
START = Head(0, 0, 0, start(0))
END = Head(0, 0, 5, RECORDS[-1].chain_digest)


def certificate(folder: Path) -> Certificate:
    """One that this machine's loopback address signs for itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "loopback")])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        .sign(key, hashes.SHA256())
    )
    made = Certificate(folder / "certificate.pem", folder / "key.pem")
    made.certificate_file.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    made.key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return made


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
