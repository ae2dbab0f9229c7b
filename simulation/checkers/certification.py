"""Certification: honest validators sign one state of a height, durably first, and certify the newest one in the end."""

from collections.abc import Mapping
from typing import Final

from consensus.wire.checkpoint_messages import CheckpointCertificate, CheckpointMessage, CheckpointWire
from ledger.committee import Committees
from ledger.genesis import Genesis
from simulation.checkers.checker import Checker, Subject, Violation
from simulation.parts.signatures import verify_memoised
from simulation.parts.validator import SimValidator


class Certification(Checker):
    """Holds honest validators to what the executors of the world make of the final chain."""

    def __init__(self, subject: Subject) -> None:
        super().__init__(subject)
        self._wire: Final = checkpoint_wire(subject.genesis)
        self._states: dict[int, bytes] = {}
        self._highest: dict[int, int] = {}

    def on_checkpoint(self, validator: SimValidator, value: bytes, message: CheckpointMessage) -> None:
        height, digest = message.claim.height, message.claim.digest
        if self._states.setdefault(height, digest) != digest:
            raise Violation(f"{validator.name} speaks of another state of height {height} than others")
        if isinstance(message, CheckpointCertificate):
            self._check_certificate(validator, message)
            return
        if message.validator != validator.index:
            raise Violation(f"{validator.name} signs the checkpoint {height} as v{message.validator}")
        if height < self._highest.get(validator.index, 0):
            raise Violation(f"{validator.name} signs the checkpoint {height} after a higher one")
        self._highest[validator.index] = height
        if validator.journal.data is None or value not in validator.journal.data:
            raise Violation(f"{validator.name} signs the checkpoint {height} before its journal holds it")

    def _check_certificate(self, validator: SimValidator, certificate: CheckpointCertificate) -> None:
        height, members = certificate.claim.height, self.subject.genesis.validators
        signers = {member for member, _ in certificate.signatures}
        signed = self._wire.signing_bytes(certificate.claim)
        if 3 * sum(members[signer].power for signer in signers) <= 2 * sum(member.power for member in members):
            raise Violation(f"{validator.name} certifies the checkpoint {height} without a quorum")
        for signer, signature in certificate.signatures:
            if not verify_memoised(members[signer].consensus_key, signed, signature):
                raise Violation(f"{validator.name} certifies the checkpoint {height} with a bad signature")

    def on_quiet(self, appended: Mapping[int, int]) -> None:
        newest = max((self._newest(validator) for validator in self.subject.honest), default=0)
        for validator in self.subject.honest:
            certified = validator.store.certificates[-1][0] if validator.store.certificates else 0
            if certified != newest:
                raise Violation(f"{validator.name} has certificates up to {certified}; the last checkpoint is {newest}")

    @staticmethod
    def _newest(validator: SimValidator) -> int:
        checkpoints = validator.executor.checkpoints
        return checkpoints[-1].height if checkpoints else 0


def checkpoint_wire(genesis: Genesis) -> CheckpointWire:
    """With signatures checked once."""
    return CheckpointWire(genesis, Committees.of(genesis), verify_memoised)
