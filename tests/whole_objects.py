"""Objects with all that belongs to them, and what the ledger stores of them: the hashes are worked out here anew, from
docs/formats.md."""

from dataclasses import dataclass, replace
from hashlib import sha256

from ledger.commands import Ownership
from ledger.object_parts import ObjectDetails, ObjectParts
from ledger.state import Effects, Object, ObjectContent


@dataclass(frozen=True)
class Whole:
    """A version of an object. `content_version` 0: this version set the content."""

    id: bytes
    version: int
    ownership: Ownership
    owner: bytes
    writers: tuple[bytes, ...]
    type: str
    media_type: str
    content: bytes
    content_version: int = 0

    @property
    def narrow(self) -> Object:
        """Its row."""
        details = sha256(self.type.encode()).digest()
        if self.ownership == Ownership.SHARED:
            details = sha256(details + b"".join(self.writers)).digest()
        text = self.media_type.encode()
        content = sha256(bytes([len(text)]) + text + sha256(self.content).digest()).digest()
        version = self.content_version or self.version
        head = self.id, self.version, self.ownership, self.owner
        return Object(*head, len(self.writers), details, version, len(self.content), content)

    @property
    def set_content(self) -> ObjectContent:
        """The row of its content."""
        return ObjectContent(self.id, self.content_version or self.version, self.media_type, self.content)

    @property
    def parts(self) -> ObjectParts:
        """What its hashes are of."""
        return ObjectParts(self.type, b"".join(self.writers), self.media_type, self.content)

    @property
    def details(self) -> ObjectDetails:
        """The same, with the content's hash."""
        return self.parts.details


def made(effects: Effects, *objects: Whole) -> Effects:
    """With these objects made, beside what else the effects do."""
    return replace(
        effects,
        objects_inserted=tuple(item.narrow for item in objects),
        object_types=tuple((item.id, item.type) for item in objects),
        object_writers=tuple((item.id, item.parts.writers) for item in objects if item.writers),
        object_contents=tuple(item.set_content for item in objects),
    )
