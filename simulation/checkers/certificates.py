"""Certificates: what an honest validator passes on, or rests finality on, is proven. Counted and verified anew here."""

from consensus.wire.messages import Certificate, Kind, Message, Vote
from simulation.checkers.checker import Checker, Stored, Violation
from simulation.parts.signatures import verify_memoised
from simulation.parts.validator import SimValidator


class Certificates(Checker):
    """More than two thirds of the power, distinct members, good signatures; a proof links its headers."""

    def on_send(self, validator: SimValidator, value: bytes, message: Message) -> None:
        if isinstance(message, Certificate):
            self._check(validator, message)

    def on_stored(self, validator: SimValidator, stored: Stored) -> None:
        self._check(validator, stored.finalization)
        tip = stored.block
        for block in stored.descendants:
            if block.header.parent_digest != tip.digest or block.header.height != tip.header.height + 1:
                raise Violation(f"the proof of height {stored.final.height} of v{validator.index} is not linked")
            tip = block
        if stored.finalization.kind is not Kind.FINALIZE or stored.finalization.digest != tip.digest:
            raise Violation(f"the proof of height {stored.final.height} of v{validator.index} proves something else")

    def _check(self, validator: SimValidator, certificate: Certificate) -> None:
        members = [member for member, _ in certificate.signatures]
        powers = [member.power for member in self.subject.genesis.validators]
        what = f"the certificate of view {certificate.view} that v{validator.index} holds"
        if len(set(members)) != len(members):
            raise Violation(f"{what} counts a member twice")
        if certificate.proposal is not None and not self.subject.wire.is_authentic(certificate.proposal):
            raise Violation(f"{what} comes with a proposal that its leader never signed")
        if 3 * sum(powers[member] for member in members) <= 2 * sum(powers):
            raise Violation(f"{what} has no quorum")
        for member, signature in certificate.signatures:
            vote = Vote(certificate.kind, certificate.epoch, certificate.view, certificate.digest, member)
            key = self.subject.genesis.validators[member].consensus_key
            if not verify_memoised(key, self.subject.wire.signing_bytes(vote), signature):
                raise Violation(f"{what} bears a forged signature of v{member}")
