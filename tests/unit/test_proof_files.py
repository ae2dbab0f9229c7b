"""Proof files: what is right verifies with ours and with a stranger's verifier, and nothing altered with either."""

import ast
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consensus.wire.checkpoint_messages import CheckpointSignature, CheckpointWire
from ledger.committee import Committees
from ledger.genesis import parse_genesis
from ledger.leaf_reading import BalanceLeaf
from ledger.leaves import balance_key, balance_value, key_hash
from ledger.rejection import Rejection
from ledger.state import Asset, Object
from proofs.proof_file import PREFIX, StateProof, decode_state_proof, encode_state_proof, file_bytes_max
from proofs.verifying import Proven, verify_state_proof
from tests import stranger_verifier
from tests.builders import TIME_MS, address, genesis_bytes, validator_key
from tests.proof_files import ABSENT, ASSET, HEIGHT, OBJECTS, ROWS, State, every_file
from tree.proofs import decode_proof, encode_proof

STATE = State()
COMMITTEES = Committees.of(STATE.genesis)
FILES = every_file(STATE)
PAGE = (Path(__file__).parents[2] / "docs" / "proofs.md").read_text("utf-8")
BALANCE = balance_key(ASSET, address(1))


def ours(data: bytes, genesis_file: bytes = STATE.genesis_file) -> bool:
    genesis = parse_genesis(genesis_file)
    return isinstance(verify_state_proof(data, genesis, Committees.of(genesis)), Proven)


def strangers(data: bytes, genesis_file: bytes = STATE.genesis_file) -> bool:
    try:
        stranger_verifier.verify(data, genesis_file)
    except stranger_verifier.Refused:
        return False
    return True


def is_another_absence(altered: bytes, data: bytes) -> bool:
    """Whether it says, truly, that some other row is absent: one proof shows it for all rows of an empty place."""
    proof, before = (
        decode_state_proof(altered, STATE.genesis, COMMITTEES),
        decode_state_proof(data, STATE.genesis, COMMITTEES),
    )
    assert isinstance(before, StateProof)
    if isinstance(proof, Rejection) or proof.key == before.key or key_hash(proof.key) in STATE.tree.leaves:
        return False
    return proof.value is None and proof == replace(before, key=proof.key)


VERIFIERS = pytest.mark.parametrize("verifies", [ours, strangers])
Verifies = Callable[..., bool]


def test_the_strangers_verifier_is_short_and_imports_nothing_of_ours() -> None:
    text = Path(stranger_verifier.__file__).read_text("utf-8")
    assert len(text.splitlines()) <= 280
    nodes = list(ast.walk(ast.parse(text)))
    imported = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    imported |= {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)}
    outside = {name.split(".")[0] for name in imported} - {"collections", "typing"}
    assert outside == {"hashlib", "json", "cryptography"}
    assert outside - {"cryptography"} <= sys.stdlib_module_names


@VERIFIERS
@pytest.mark.parametrize("name", FILES)
def test_every_kind_is_proven_there_and_absent(verifies: Verifies, name: str) -> None:
    assert verifies(FILES[name])


def test_absences_are_shown_by_both_kinds_of_ends() -> None:
    ends = {decode_proof(STATE.proof(key).proof).other is None for key in ABSENT}
    assert ends == {True, False}


def test_both_verifiers_read_the_same() -> None:
    for key in (*ROWS, *ABSENT):
        proven = verify_state_proof(STATE.file(key), STATE.genesis, COMMITTEES)
        told = stranger_verifier.verify(STATE.file(key), STATE.genesis_file)
        assert isinstance(proven, Proven)
        assert (told["key"], told["height"], told["time_ms"]) == (key, HEIGHT, TIME_MS)
        assert (proven.checkpoint.height, proven.time_ms) == (HEIGHT, TIME_MS)
        assert told["signers"] == [signer.name for signer in proven.signers]
        assert (told["power"], proven.power, proven.power_total) == (7, 7, 9)
        match proven.row:
            case None:
                assert told["row"] is None
            case BalanceLeaf():
                assert told["row"] == {"amount": proven.row.amount}
            case Asset():
                assert (told["row"]["name"], told["row"]["supply"]) == (proven.row.name, proven.row.supply)
            case Object():
                item = OBJECTS[key[1:]]
                assert proven.details == item.details
                assert told["row"]["version"] == proven.row.version
                assert told["row"]["writers"] == [writer.hex() for writer in item.writers]
                assert (told["row"]["type"], told["row"]["media_type"]) == (item.type, item.media_type)
                assert told["row"]["content_hash"] == sha256(item.content).hexdigest()


@VERIFIERS
def test_without_its_header_a_file_proves_the_row_and_no_time(verifies: Verifies) -> None:
    data = encode_state_proof(STATE.proof(BALANCE, with_header=False))
    assert verifies(data)
    proven = verify_state_proof(data, STATE.genesis, COMMITTEES)
    assert isinstance(proven, Proven)
    assert proven.time_ms is None


@VERIFIERS
@pytest.mark.parametrize("name", list(FILES)[:7])
def test_no_flipped_byte_verifies(verifies: Verifies, name: str) -> None:
    data = FILES[name]
    for at in range(len(data)):
        for flip in (0x01, 0x02, 0x80, 0xFF):
            altered = data[:at] + bytes((data[at] ^ flip,)) + data[at + 1 :]
            assert not verifies(altered) or is_another_absence(altered, data), f"byte {at}, {flip:02x}"


@VERIFIERS
@pytest.mark.parametrize("name", list(FILES)[:7])
def test_no_truncated_or_longer_file_verifies(verifies: Verifies, name: str) -> None:
    data = FILES[name]
    assert not any(verifies(data[:size]) for size in range(len(data)))
    assert not any(verifies(data[size:]) for size in range(1, len(data)))
    assert not verifies(data + b"\0")
    assert not verifies(data * 2)
    assert not verifies(data + bytes(file_bytes_max(STATE.genesis, COMMITTEES)))


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(sorted(FILES)), st.data())
def test_no_spliced_file_verifies(name: str, data: st.DataObject) -> None:
    whole = FILES[name]
    start = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(start, min(len(whole), start + 40)))
    altered = whole[:start] + data.draw(st.binary(max_size=40)) + whole[end:]
    verified = ours(altered)
    assert verified == strangers(altered)
    assert not verified or altered == whole or is_another_absence(altered, whole)


@settings(max_examples=400, deadline=None)
@given(st.binary(max_size=300))
def test_no_bytes_make_a_verifier_fail(tail: bytes) -> None:
    assert not ours(PREFIX + tail)
    assert not strangers(PREFIX + tail)
    assert not ours(tail)
    assert not strangers(tail)


def parts_of_others() -> Iterator[tuple[str, StateProof]]:
    """Proofs whose parts are each right somewhere, but not together."""
    one, other = STATE.proof(BALANCE), STATE.proof(ABSENT[0])
    later, elsewhere = State(height=HEIGHT + 1), State(chain="other")
    poorer = STATE.proof(BALANCE)
    yield "another row's proof", replace(one, proof=other.proof)
    yield "another row's value", replace(one, value=next(iter(ROWS.values())))
    yield "another amount", replace(poorer, value=balance_value(1235))
    yield "no amount", replace(poorer, value=balance_value(0))
    yield "a row said to be absent", replace(one, value=None)
    yield "an absent row said to be there", replace(other, value=next(iter(ROWS.values())))
    yield "an absence of a row that is there", replace(other, key=BALANCE)
    yield "another address", replace(one, key=balance_key(ASSET, address(2)))
    yield "a later block's header", replace(one, header=later.header)
    yield "another chain's certificate", replace(one, certificate=elsewhere.certificate())
    yield "another chain's proof", elsewhere.proof(BALANCE)
    yield "a key of no kind", replace(other, key=b"\4" + bytes(8))
    yield "a key too short", replace(other, key=other.key[:-1])
    yield "no key", replace(other, key=b"")
    found = decode_proof(one.proof)
    yield "a sibling less", replace(one, proof=encode_proof(replace(found, siblings=found.siblings[:-1])))
    yield "a sibling more", replace(one, proof=encode_proof(replace(found, siblings=(*found.siblings, bytes(32)))))


@VERIFIERS
@pytest.mark.parametrize(("what", "proof"), list(parts_of_others()), ids=[what for what, _ in parts_of_others()])
def test_parts_that_do_not_belong_together_do_not_verify(verifies: Verifies, what: str, proof: StateProof) -> None:
    assert not verifies(encode_state_proof(proof)), what


@VERIFIERS
def test_a_checkpoint_of_another_state_does_not_verify(verifies: Verifies) -> None:
    poor = State()
    poor.checkpoint = replace(poor.checkpoint, state_root=bytes(32))
    assert not verifies(encode_state_proof(replace(STATE.proof(BALANCE), certificate=poor.certificate())))
    poor.checkpoint = replace(STATE.checkpoint, heads=STATE.checkpoint.heads[:1])
    assert not verifies(encode_state_proof(replace(STATE.proof(BALANCE), certificate=poor.certificate())))


@VERIFIERS
def test_another_genesis_does_not_verify(verifies: Verifies) -> None:
    powers = [3, 2, 2, 2]
    for genesis_file in (
        genesis_bytes(4, powers=powers, chain="other"),
        genesis_bytes(4, powers=[2, 3, 2, 2]),
        genesis_bytes(4, powers=powers, topic_id="another-id"),
        STATE.genesis_file + b"\n",
    ):
        assert not verifies(FILES["there 02d59386"], genesis_file)


@VERIFIERS
@pytest.mark.parametrize("members", [(0, 1), (1, 2, 3), (0, 1, 1), (0, 0, 0), (1, 0, 2), (0,), ()])
def test_less_than_a_quorum_of_distinct_members_does_not_verify(verifies: Verifies, members: tuple[int, ...]) -> None:
    proof = replace(STATE.proof(BALANCE), certificate=STATE.certificate(members))
    assert not verifies(encode_state_proof(proof))


@VERIFIERS
@pytest.mark.parametrize(("members", "keys"), [((0, 1, 2), (0, 1, 1)), ((0, 1, 2, 3), (0, 1, 2, 7))])
def test_a_signature_by_another_key_does_not_verify(
    verifies: Verifies, members: tuple[int, ...], keys: tuple[int, ...]
) -> None:
    proof = replace(STATE.proof(BALANCE), certificate=STATE.certificate(members, keys))
    assert not verifies(encode_state_proof(proof))


@VERIFIERS
def test_one_validators_word_is_no_certificate(verifies: Verifies) -> None:
    wire = CheckpointWire(STATE.genesis, COMMITTEES)
    claim = wire.claim(STATE.checkpoint)
    word = wire.encode(CheckpointSignature(claim, 0, validator_key(0).sign(wire.signing_bytes(claim))))
    assert not verifies(encode_state_proof(replace(STATE.proof(BALANCE), certificate=word)))


@VERIFIERS
@pytest.mark.parametrize("members", [(0, 1, 2), (0, 2, 3), (0, 1, 2, 3)])
def test_every_quorum_verifies(verifies: Verifies, members: tuple[int, ...]) -> None:
    assert verifies(encode_state_proof(replace(STATE.proof(BALANCE), certificate=STATE.certificate(members))))


def test_the_page_says_the_prefix_and_the_bounds() -> None:
    assert PREFIX.hex(" ") in PAGE
    figures = [
        int(number) for number in re.findall(r"a proof (\d+), a key (\d+), a value (\d+), `object` (\d+)", PAGE)[0]
    ]
    bounds = sum(figures) + 2 * (4246 + 160 * STATE.genesis.partitions) + 64 + 76 * 4 + 64
    assert bounds == file_bytes_max(STATE.genesis, COMMITTEES)
