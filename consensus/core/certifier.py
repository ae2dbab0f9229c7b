"""Certifying checkpoints: what a validator says of the state, and what it makes of what the others say.

The executor's checkpoint of a height is a *claim*. The rules:

C1  Each claim of our executor above the last one that we signed, and above the last certified one, is signed once,
    durably before it is sent; no second claim of a height, nor a lower one, is ever signed. It is signed before it is
    compared with what others signed: of two halves that contradict each other, each must hear the other.
C2  More than two thirds of the power behind one claim certify it. Certificates rise; they are kept whether or not our
    executor has come so far.
C3  Stop on a certified claim that contradicts our own of that height, on one other claim of it that others with more
    than a third of the power signed (one of them is honest), and on two certificates of a height. What we ourselves
    signed is not among it: where our claim is another now, our database was repaired since, and one liar who repeats
    our old word would stop us. Up to a height that is settled (our database was built anew after such a stop) the
    second is an alarm: what was signed there stays signed, and of two halves none could go on otherwise.
C4  A lesser contradiction of our own claim is an alarm, and so is a claim of ours that differs from what we signed, as
    after the repair of a database. Two signed claims of a height by one validator are evidence.
C5  Whoever's turn it is publishes a certificate at once, the others where it is missed for a while; then ever more
    rarely.
C6  Our newest claim that is not certified is said again, ever more rarely; not where ours is another one by now.

Pure: `now_ms` are milliseconds of one clock that never goes back.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from consensus.wire.checkpoint_messages import CheckpointCertificate, CheckpointSignature, CheckpointWire, Claim
from ledger.backoff import Backoff
from ledger.checkpoint import Checkpoint
from ledger.rejection import Rejection

KEPT_MAX: Final = 64
"""Own claims, certificates, and heights of each validator's signatures that are kept: the highest ones."""
CLAIMS_MAX: Final = 2
"""Signed claims of one validator at one height that are kept: two prove the fault."""
RESEND_MS_MAX: Final = 600_000


@dataclass(frozen=True, slots=True)
class SignClaim:
    """Sign it, keep it in the journal, hand it back to `on_signed`; it is sent once it is durable."""

    statement: CheckpointSignature


@dataclass(frozen=True, slots=True)
class SayAgain:
    """Send what we signed before."""

    message: CheckpointSignature


@dataclass(frozen=True, slots=True)
class Certified:
    """A certificate above all that came before: keep it durably."""

    certificate: CheckpointCertificate


@dataclass(frozen=True, slots=True)
class Publish:
    """Write a kept certificate to the `checkpoints` topic."""

    certificate: CheckpointCertificate


@dataclass(frozen=True, slots=True)
class ClaimDiffers:
    """A signed claim, of another or of ourselves, contradicts ours; too little power stands behind it to stop, or it is
    settled."""

    own: Claim
    other: CheckpointSignature


@dataclass(frozen=True, slots=True)
class Contradiction:
    """A validator signed two claims of one height."""

    first: CheckpointSignature
    second: CheckpointSignature


@dataclass(frozen=True, slots=True)
class CheckpointFork:
    """Stop, and keep all of this: our claim, and what is signed of others."""

    why: str
    own: Claim
    others: tuple[CheckpointSignature | CheckpointCertificate, ...]


@dataclass(frozen=True, slots=True)
class SignedElsewhere:
    """Stop: our key has signed what our journal does not know."""

    message: CheckpointSignature


Action = SignClaim | SayAgain | Certified | Publish | ClaimDiffers | Contradiction | CheckpointFork | SignedElsewhere


_Signer = tuple[int, int]
"""(epoch, member of its committee)."""


class Certifier:
    """One validator's; it starts from the last claim that it signed and the last certificate that it kept."""

    def __init__(
        self,
        wire: CheckpointWire,
        own_key: bytes,
        resend_ms: int,
        publish_ms: int,
        signed: CheckpointSignature | None,
        certified: CheckpointCertificate | None,
        settled_height: int = 0,
    ) -> None:
        self._wire = wire
        self._own_key = own_key
        self._resend = Backoff(resend_ms, RESEND_MS_MAX)
        self._publish = Backoff(publish_ms, RESEND_MS_MAX)
        self._resends = self._publishes = 0
        self._signed = signed
        self._certified = certified
        self._settled_height = settled_height
        self._own: dict[int, Claim] = {}
        self._certificates = {} if certified is None else {certified.claim.height: certified}
        self._signatures: dict[_Signer, dict[int, list[CheckpointSignature]]] = defaultdict(dict)
        self._unseen: tuple[CheckpointCertificate, int] | None = None
        self._resend_at_ms: int | None = None if signed is None else 0
        self.refused: Counter[str] = Counter()
        if signed is not None and signed.claim.height > self.height:
            self._signatures[_signer(signed)][signed.claim.height] = [signed]

    @property
    def height(self) -> int:
        """Of the last certified checkpoint; 0 before the first."""
        return 0 if self._certified is None else self._certified.claim.height

    # --- events ---

    def on_claims(self, checkpoints: Sequence[Checkpoint], now_ms: int) -> Iterator[Action]:
        """Our executor's newest checkpoints, by rising height; known ones may be among them."""
        for checkpoint in checkpoints[-KEPT_MAX:]:
            claim = self._wire.claim(checkpoint)
            before = self._own.get(claim.height)
            if before is None or before.digest != claim.digest:
                self._own[claim.height] = claim
                _forget(self._own)
                yield from self._sign(claim)
                yield from self._compare(claim)

    def on_signed(self, message: CheckpointSignature, now_ms: int) -> Iterator[Action]:
        """What a `SignClaim` asked for."""
        self._signed = message
        self._resends = 0
        self._resend_at_ms = now_ms + self._resend.wait(0)
        yield from self._take(message, now_ms)

    def on_value(self, value: bytes | None, now_ms: int) -> Iterator[Action]:
        """A record of a consensus topic or of the `checkpoints` topic; nothing of it is believed."""
        message = self._wire.decode(value)
        if isinstance(message, Rejection):
            self.refused["malformed"] += 1
        elif isinstance(message, CheckpointCertificate):
            yield from self._on_certificate(message, now_ms)
        elif self._is_news(message):
            if not self._wire.is_authentic(message):
                self.refused["forged"] += 1
            elif message.validator != self._own_index(message.claim):
                yield from self._take(message, now_ms)
            elif self._is_foreign(message):
                yield SignedElsewhere(message)

    def on_time(self, now_ms: int) -> Iterator[Action]:
        """Say again what nobody seems to have heard."""
        if self._unseen is not None and now_ms >= self._unseen[1]:
            self._unseen = (self._unseen[0], now_ms + self._publish.wait(self._publishes))
            self._publishes += 1
            yield Publish(self._unseen[0])
        if self._resend_at_ms is not None and now_ms >= self._resend_at_ms:
            if (
                self._signed is None
                or self._signed.claim.height <= self.height
                or self._has_changed(self._signed.claim)
            ):
                self._resend_at_ms = None
                return
            self._resends += 1
            self._resend_at_ms = now_ms + self._resend.wait(self._resends)
            yield SayAgain(self._signed)

    def next_ms(self) -> int | None:
        """When `on_time` has something to do."""
        moments = (self._resend_at_ms, None if self._unseen is None else self._unseen[1])
        return min((at_ms for at_ms in moments if at_ms is not None), default=None)

    # --- claims ---

    def _sign(self, claim: Claim) -> Iterator[Action]:
        index = self._own_index(claim)
        if index is not None and claim.height > max(self.height, self._signed_height()):
            yield SignClaim(CheckpointSignature(claim, index))

    def _own_index(self, claim: Claim) -> int | None:
        """Which member we are of the committee that certifies it; None: not one of it."""
        return self._wire.committee_of(claim).index_of(self._own_key)

    def _signed_height(self) -> int:
        return 0 if self._signed is None else self._signed.claim.height

    def _has_changed(self, claim: Claim) -> bool:
        """Whether our executor comes to another state of that height by now than we signed."""
        own = self._own.get(claim.height)
        return own is not None and own.digest != claim.digest

    def _is_news(self, message: CheckpointSignature) -> bool:
        """Whether a signature is worth a check: above what is certified, and not held."""
        if message.claim.height <= self.height:
            return False
        kept = self._signatures[_signer(message)]
        held = kept.get(message.claim.height, [])
        if len(held) >= CLAIMS_MAX or any(other.claim.digest == message.claim.digest for other in held):
            return False
        return len(kept) < KEPT_MAX or message.claim.height > min(kept)

    def _is_foreign(self, message: CheckpointSignature) -> bool:
        """Whether a claim under our key is none that we signed; of lower ones that we signed nothing is kept."""
        signed = self._signed
        if signed is None or message.claim.height > signed.claim.height:
            return True
        return message.claim.height == signed.claim.height and message.claim.digest != signed.claim.digest

    def _take(self, message: CheckpointSignature, now_ms: int) -> Iterator[Action]:
        height = message.claim.height
        held = self._signatures[_signer(message)].setdefault(height, [])
        held.append(message)
        _forget(self._signatures[_signer(message)])
        if len(held) == CLAIMS_MAX:
            yield Contradiction(*held)
        own = self._own.get(height)
        if own is not None and own.digest != message.claim.digest:
            yield from self._differ(own, message)
        behind = self._behind(message.claim)
        if self._wire.committee_of(message.claim).is_quorum(behind):
            signatures = tuple((member, behind[member].signature) for member in sorted(behind))
            yield from self._certify(CheckpointCertificate(message.claim, signatures), now_ms, is_seen=False)

    def _behind(self, claim: Claim) -> dict[int, CheckpointSignature]:
        """Who signed a claim, and what."""
        return {
            member: signature
            for (_, member), kept in self._signatures.items()
            for signature in kept.get(claim.height, ())
            if signature.claim.digest == claim.digest
        }

    def _compare(self, own: Claim) -> Iterator[Action]:
        """Our executor has come to a height of which others may have spoken already."""
        certificate = self._certificates.get(own.height)
        if certificate is not None and certificate.claim.digest != own.digest:
            yield CheckpointFork("a quorum has certified another state of this height", own, (certificate,))
        for _, kept in sorted(self._signatures.items()):
            for signature in kept.get(own.height, ()):
                if signature.claim.digest != own.digest:
                    yield from self._differ(own, signature)

    def _differ(self, own: Claim, other: CheckpointSignature) -> Iterator[Action]:
        behind = self._behind(other.claim)
        committee = self._wire.committee_of(other.claim)
        if (index := committee.index_of(self._own_key)) is not None:
            behind.pop(index, None)
        if own.height > self._settled_height and committee.has_honest(behind):
            why = "more than a third of the power, so an honest validator, signed another state of this height"
            yield CheckpointFork(why, own, tuple(behind[member] for member in sorted(behind)))
        else:
            yield ClaimDiffers(own, other)

    # --- certificates ---

    def _on_certificate(self, certificate: CheckpointCertificate, now_ms: int) -> Iterator[Action]:
        height = certificate.claim.height
        held = self._certificates.get(height)
        if held is not None and held.claim.digest == certificate.claim.digest:
            if self._unseen is not None and self._unseen[0].claim.height == height:
                self._unseen = None
        elif held is None and height <= self.height:
            self.refused["late"] += 1
        elif not self._wire.is_certified(certificate):
            self.refused["forged"] += 1
        elif held is not None:
            yield CheckpointFork("two states of this height are certified", held.claim, (held, certificate))
        else:
            yield from self._certify(certificate, now_ms, is_seen=True)

    def _certify(self, certificate: CheckpointCertificate, now_ms: int, is_seen: bool) -> Iterator[Action]:
        height = certificate.claim.height
        self._certified = self._certificates[height] = certificate
        _forget(self._certificates)
        for kept in self._signatures.values():
            for low in [at for at in kept if at <= height]:
                del kept[low]
        committee = self._wire.committee_of(certificate.claim)
        is_turn = int.from_bytes(certificate.claim.digest[:4], "big") % len(committee) == self._own_index(
            certificate.claim
        )
        self._publishes = 0
        self._unseen = None if is_seen else (certificate, now_ms if is_turn else now_ms + self._publish.wait(0))
        yield Certified(certificate)
        own = self._own.get(height)
        if own is not None and own.digest != certificate.claim.digest:
            yield CheckpointFork("a quorum has certified another state of this height", own, (certificate,))


def _signer(message: CheckpointSignature) -> _Signer:
    return message.claim.checkpoint.epoch, message.validator


def _forget(by_height: dict[int, Any]) -> None:
    """Keep the highest."""
    while len(by_height) > KEPT_MAX:
        del by_height[min(by_height)]
