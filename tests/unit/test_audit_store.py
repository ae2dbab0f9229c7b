"""The audit of a store names the block or the record that is not what the final headers say, and goes on behind it."""

from pathlib import Path

import pytest

from backbone.store import StoredRecord, StoreReader, StoreWriter
from backbone.store.files import certificate_folder, segments
from consensus.runtime.journal import header
from consensus.wire.checkpoint_messages import CheckpointCertificate, CheckpointWire
from ledger import digests
from ledger.block import FinalBlock
from ledger.checkpoint import Checkpoint
from ledger.committee import Committees
from ledger.header import Epoch, Header
from ledger.rejection import Reason, Rejection
from node.recovery.audit_certificates import audit_certificates
from node.recovery.audit_store import StoreAudit, audit_journal
from projections.audit.findings import FINDINGS_MAX, Findings
from tests import builders
from tests.chain_builder import even_cuts, write_store

GENESIS = builders.genesis(partitions=2)
COUNT = 20


def proven(value: bytes) -> FinalBlock | Rejection:
    """Every block counts as final: these stores are written without consensus."""
    return FinalBlock(Header(1, Epoch(0), 1, 0, b"", 1, 0, 0, ()), b"", b"", b"")


def written(folder: Path) -> Path:
    values = [[b"a %d" % number for number in range(COUNT)] for _ in range(2)]
    write_store(folder, GENESIS, values, even_cuts([COUNT, COUNT], 5))
    return folder


def audit(folder: Path, may_begin_late: bool = False, height: int = 5) -> tuple[StoreAudit, list[tuple[str, str]]]:
    findings = Findings()
    made = StoreAudit(folder, GENESIS, proven, may_begin_late, findings, lambda height, records: None)
    made.run(iter(()), height)
    return made, [(it.where, it.key) for it in findings.kept]


def rewritten(source: Path, folder: Path, records: list[StoredRecord]) -> Path:
    """The store with other records in partition 0, each frame whole."""
    with StoreReader(source) as old, StoreWriter(folder) as new:
        new.append(0, records)
        new.append(1, old.records(1, 0, COUNT))
        new.sync()
        for final in old.final_after(0, 100):
            new.append_final(*final)
    return folder


def test_clean_store_passes(tmp_path: Path) -> None:
    made, found = audit(written(tmp_path / "store"))
    assert found == []
    assert (made.blocks, made.records) == (5, 2 * COUNT)


def test_record_that_was_removed_is_named_and_the_rest_is_still_checked(tmp_path: Path) -> None:
    source = written(tmp_path / "store")
    records = StoreReader(source).records(0, 0, COUNT)
    made, found = audit(rewritten(source, tmp_path / "other", records[:6] + records[7:]))
    assert found == [("partition 0", "offset 7")]
    assert made.records == 2 * COUNT - 1


def test_last_record_of_a_block_that_was_removed_is_named(tmp_path: Path) -> None:
    source = written(tmp_path / "store")
    records = StoreReader(source).records(0, 0, COUNT)
    assert audit(rewritten(source, tmp_path / "other", records[:-1]))[1] == [("partition 0", "offsets 16 to 19")]


def test_value_that_was_altered_with_its_checksum_is_named(tmp_path: Path) -> None:
    source = written(tmp_path / "store")
    records = StoreReader(source).records(0, 0, COUNT)
    records[5] = records[5]._replace(value=b"forged")
    assert audit(rewritten(source, tmp_path / "other", records))[1] == [("partition 0", "offset 5")]


def test_value_that_was_altered_with_the_chain_behind_it_is_found_by_the_header(tmp_path: Path) -> None:
    source = written(tmp_path / "store")
    forged, chain = [], digests.chain_start(GENESIS.digest, 0)
    for record in StoreReader(source).records(0, 0, COUNT):
        value = b"forged" if record.offset == 5 else record.value
        chain = digests.chain_next(chain, 0, record.offset, digests.value_digest(value))
        forged.append(record._replace(value=value, chain_digest=chain))
    found = audit(rewritten(source, tmp_path / "other", forged))[1]
    assert found[0] == ("partition 0", "offsets 4 to 7")


@pytest.mark.parametrize("may_begin_late", [False, True])
def test_store_that_ends_below_the_database_is_named(tmp_path: Path, may_begin_late: bool) -> None:
    found = audit(written(tmp_path / "store"), may_begin_late, height=6)[1]
    assert found == [("final blocks", "height 6")]


def test_block_that_is_not_proven_is_named(tmp_path: Path) -> None:
    findings = Findings()
    folder = written(tmp_path / "store")
    refused = Rejection(Reason.BAD_SIGNATURE)
    StoreAudit(folder, GENESIS, lambda value: refused, False, findings, lambda height, records: None).run(iter(()), 5)
    assert [(it.where, it.key) for it in findings.kept] == [("final blocks", f"height {at}") for at in range(1, 6)]


def test_block_row_with_another_digest_is_named(tmp_path: Path) -> None:
    findings = Findings()
    made = StoreAudit(written(tmp_path / "store"), GENESIS, proven, False, findings, lambda height, records: None)
    made.run(iter([(3, b"another")]), 5)
    assert [(it.where, it.key) for it in findings.kept] == [("blocks", "height 3")]


def test_journal_of_a_validator_passes_and_a_stranger_or_damage_does_not(tmp_path: Path) -> None:
    file = tmp_path / "statements"
    good = header(GENESIS.digest, GENESIS.validators[0].consensus_key)
    for data, count in ((good, 0), (header(GENESIS.digest, bytes(32)), 1), (good[:-1], 1), (b"", 1)):
        findings = Findings()
        file.write_bytes(data)
        audit_journal(file, GENESIS, Committees.of(GENESIS).current, findings)
        assert findings.count == count
        assert file.read_bytes() == data


def test_findings_are_bounded_and_all_are_counted() -> None:
    findings = Findings()
    for number in range(FINDINGS_MAX + 5):
        findings.add("table", str(number), "x")
    assert (len(findings.kept), findings.count) == (FINDINGS_MAX, FINDINGS_MAX + 5)


WIRE = CheckpointWire(GENESIS, Committees.of(GENESIS))


def certified(height: int, root: int = 1, signer: int = 0) -> CheckpointCertificate:
    claim = WIRE.claim(
        Checkpoint(Epoch(0), height, bytes(32), GENESIS.empty_heads(), bytes([root]) * 32, GENESIS.digest)
    )
    signature = builders.validator_key(signer).sign(WIRE.signing_bytes(claim))
    return CheckpointCertificate(claim, ((0, signature),))


def test_certificates_are_checked_by_themselves_and_against_the_database(tmp_path: Path) -> None:
    kept = {height: certified(height) for height in (5, 10, 20, 25, 30)} | {15: certified(15, signer=1)}
    with StoreWriter(tmp_path / "store") as store:
        for height in sorted(kept):
            store.append_certificate(height, WIRE.encode(kept[height]))
        store.append_certificate(35, b"garbage")
        store.append_certificate(40, WIRE.encode(certified(39)))
    own = {5: (kept[5].claim.digest, True), 10: (bytes(32), True), 20: (kept[20].claim.digest, False)}
    findings = Findings()
    assert audit_certificates(tmp_path / "store", WIRE, lambda heights: own, findings) == 8
    assert [(it.key, it.what.split(", ")[0]) for it in findings.kept] == [
        ("height 10", "A quorum has certified another checkpoint than the database has"),
        ("height 15", "It has no quorum of good signatures."),
        ("height 20", "The database has the checkpoint and later certificates"),
        ("height 35", "It does not read."),
        ("height 40", "It is of height 39."),
    ]


def test_damaged_file_of_certificates_is_named(tmp_path: Path) -> None:
    with StoreWriter(tmp_path / "store") as store:
        for height in (5, 10):
            store.append_certificate(height, WIRE.encode(certified(height)))
    segment = segments(certificate_folder(tmp_path / "store"))[0].path
    data = segment.read_bytes()
    segment.write_bytes(data[:99] + bytes([data[99] ^ 1]) + data[100:])
    findings = Findings()
    audit_certificates(tmp_path / "store", WIRE, lambda heights: {}, findings)
    assert [it.where for it in findings.kept] == ["stored certificates"]
