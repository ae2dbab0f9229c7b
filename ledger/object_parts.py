"""What an object has that may be large, by its hashes: a command that does not set it neither reads nor writes it.

    details digest   ``SHA-256(type)``; of a shared object ``SHA-256(that 32 | (writer 32)*)``
    content digest   ``SHA-256(media type length 1 | media type | SHA-256(content) 32)``

Texts are UTF-8; writers are sorted and distinct. The type is set when an object is made, the writers when it becomes
shared, media type and content together, by whoever makes or updates it.
"""

from dataclasses import dataclass
from hashlib import sha256

from ledger.commands import Ownership


def type_digest(kind: str) -> bytes:
    """The details digest of an object that is not shared."""
    return sha256(kind.encode()).digest()


def shared_digest(before: bytes, writers: bytes) -> bytes:
    """The details digest of an object that had `before` and is shared now, with these packed writers."""
    return sha256(before + writers).digest()


def content_digest(media_type: str, content_hash: bytes) -> bytes:
    """`content_hash` is the content's SHA-256."""
    text = media_type.encode()
    return sha256(bytes((len(text),)) + text + content_hash).digest()


@dataclass(frozen=True, slots=True)
class ObjectDetails:
    """What the hashes of an object are of; `writers` are packed addresses, `content_hash` the content's SHA-256."""

    type: str
    writers: bytes
    media_type: str
    content_hash: bytes

    def digests(self, ownership: Ownership) -> tuple[bytes, bytes]:
        """(details digest, content digest)"""
        details = type_digest(self.type)
        if ownership is Ownership.SHARED:
            details = shared_digest(details, self.writers)
        return details, content_digest(self.media_type, self.content_hash)


@dataclass(frozen=True, slots=True)
class ObjectParts:
    """The same with the content itself."""

    type: str
    writers: bytes
    media_type: str
    content: bytes

    @property
    def details(self) -> ObjectDetails:
        return ObjectDetails(self.type, self.writers, self.media_type, sha256(self.content).digest())

    @property
    def size_bytes(self) -> int:
        """About."""
        return len(self.type) + len(self.writers) + len(self.media_type) + len(self.content)
