"""The store's log of certificates of checkpoints."""

from pathlib import Path

import pytest

from backbone.store import StoreDamaged, StoreReader, StoreWriter
from backbone.store.files import certificate_folder, segments


def certificate(height: int) -> bytes:
    return b"certificate of %d" % height * 3


def test_certificates_are_read_back_above_any_height_in_bounded_batches(tmp_path: Path) -> None:
    with StoreWriter(tmp_path, segment_bytes=200) as writer:
        assert writer.last_certificate() is None
        for height in range(7, 700, 7):
            writer.append_certificate(height, certificate(height))
        assert writer.last_certificate() == certificate(693)
    assert len(segments(certificate_folder(tmp_path))) > 5
    reader = StoreReader(tmp_path)
    assert reader.certificates_after(0, 2) == [(7, certificate(7)), (14, certificate(14))]
    assert reader.certificates_after(14, 1) == [(21, certificate(21))]
    assert [height for height, _ in reader.certificates_after(600, 100)] == [*range(602, 700, 7)]
    assert reader.certificates_after(693, 9) == []


def test_certificates_rise_also_after_opening_again(tmp_path: Path) -> None:
    with StoreWriter(tmp_path) as writer:
        writer.append_certificate(7, certificate(7))
    with StoreWriter(tmp_path) as writer:
        assert writer.last_certificate() == certificate(7)
        for height in (7, 3):
            with pytest.raises(ValueError, match="last certificate has height 7"):
                writer.append_certificate(height, certificate(height))
        writer.append_certificate(8, certificate(8))


def test_reader_that_was_there_first_sees_what_comes(tmp_path: Path) -> None:
    reader = StoreReader(tmp_path)
    assert reader.certificates_after(0, 9) == []
    with StoreWriter(tmp_path) as writer:
        writer.append_certificate(7, certificate(7))
        assert reader.certificates_after(0, 9) == [(7, certificate(7))]
        writer.append_certificate(9, certificate(9))
        assert reader.certificates_after(7, 9) == [(9, certificate(9))]


def test_torn_certificate_is_cut_and_a_damaged_one_is_told(tmp_path: Path) -> None:
    with StoreWriter(tmp_path) as writer:
        for height in (7, 14):
            writer.append_certificate(height, certificate(height))
    (segment,) = segments(certificate_folder(tmp_path))
    whole = segment.path.read_bytes()
    segment.path.write_bytes(whole[:-1])
    with StoreWriter(tmp_path) as writer:
        assert writer.last_certificate() == certificate(7)
    wrong = bytearray(whole)
    wrong[whole.index(b"certificate of 7")] ^= 1
    segment.path.write_bytes(bytes(wrong))
    with pytest.raises(StoreDamaged):
        StoreReader(tmp_path).certificates_after(0, 9)
    with pytest.raises(StoreDamaged):
        StoreWriter(tmp_path)
