"""Certificates audited: those of the database, and those of the store against them."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from backbone.store import StoreDamaged, StoredCertificate, StoreReader
from consensus.wire.checkpoint_messages import CheckpointCertificate, CheckpointWire
from projections.audit.chain import AuditedCheckpoint
from projections.audit.findings import Findings

_AT_ONCE: Final = 256
_CERTIFICATES: Final = "stored certificates"
Known = Callable[[Sequence[int]], Mapping[int, tuple[bytes, bool]]]
"""Of checkpoints of the database at these heights: (digest, whether its certificate is there, or may be on its way)."""


def audit_certificates(store: Path, wire: CheckpointWire, known: Known, findings: Findings) -> int:
    """Every certificate of the store: by itself, and against the checkpoint that the database has; how many."""
    height = count = 0
    with StoreReader(store) as reader:
        while True:
            try:
                found = reader.certificates_after(height, _AT_ONCE)
            except StoreDamaged as error:
                findings.add(_CERTIFICATES, f"above height {height}", str(error))
                return count
            if not found:
                return count
            count, height = count + len(found), found[-1].height
            own = known([stored.height for stored in found])
            for stored in found:
                wrong = _wrong_certificate(wire, stored, own.get(stored.height))
                if wrong is not None:
                    findings.add(_CERTIFICATES, f"height {stored.height}", wrong)


def _wrong_certificate(wire: CheckpointWire, stored: StoredCertificate, own: tuple[bytes, bool] | None) -> str | None:
    message = wire.decode(stored.certificate)
    if not isinstance(message, CheckpointCertificate):
        return "It does not read."
    if message.claim.height != stored.height:
        return f"It is of height {message.claim.height}."
    if not wire.is_certified(message):
        return "It has no quorum of good signatures."
    if own is not None and own[0] != message.claim.digest:
        root = message.claim.checkpoint.state_root.hex()
        return f"A quorum has certified another checkpoint than the database has, with the root {root}."
    is_missing = own is not None and not own[1]
    return "The database has the checkpoint and later certificates, but not this one." if is_missing else None


def certificate_fault(wire: CheckpointWire, checkpoint: AuditedCheckpoint, certificate: bytes) -> str | None:
    """What is wrong with the certificate that a database has of a checkpoint."""
    message = wire.decode(certificate)
    if not isinstance(message, CheckpointCertificate):
        return "The certificate does not read."
    if message.claim.digest != checkpoint.digest:
        claim = message.claim.checkpoint
        return f"It is of another checkpoint: of height {claim.height}, with the root {claim.state_root.hex()}."
    return None if wire.is_certified(message) else "It has no quorum of good signatures."
