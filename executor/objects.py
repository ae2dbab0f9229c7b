"""Objects: who may write which version.

An owned object is written by its owner, who names the exact version; a shared one by its writers (or by anybody,
where there are none), who name the version they read or 0 for whatever it is now; an immutable one by nobody. Every
write adds one to the version. Writers are kept sorted and distinct, so that one set has one spelling.

The reason for a rejection stands in every node's rows, so the order of the tests is part of the protocol: does it
exist, is it of the kind that the command is for, is it immutable, may the signer, is the version right.
"""

from dataclasses import replace
from hashlib import sha256
from typing import assert_never

from executor.context import Context
from ledger import digests
from ledger.commands import (
    CreateObject,
    DeleteObject,
    FreezeObject,
    Ownership,
    ShareObject,
    TransferObject,
    UpdateObject,
)
from ledger.object_parts import content_digest, shared_digest, type_digest
from ledger.rejection import Reason
from ledger.state import Object


def create_object(context: Context, index: int, command: CreateObject) -> Reason:
    """Version 1, of the signer, or shared where writers are given."""
    created = Object(
        id=digests.object_id(context.digest, index),
        version=1,
        ownership=Ownership.ADDRESS,
        owner=context.signer,
        writers=0,
        details_digest=type_digest(command.type),
        content_version=1,
        content_size_bytes=len(command.content),
        content_digest=content_digest(command.media_type, sha256(command.content).digest()),
    )
    if command.writers is not None:
        created = _shared(context, created, command.writers)
    context.write(index, created)
    context.set_type(created, command.type)
    context.set_content(created, command.media_type, command.content)
    return Reason.NONE


def update_object(context: Context, index: int, command: UpdateObject) -> Reason:
    """New content."""
    found = _writable(context, command.object, command.version)
    if isinstance(found, Reason):
        return found
    version = found.version + 1
    updated = replace(
        found,
        version=version,
        content_version=version,
        content_size_bytes=len(command.content),
        content_digest=content_digest(command.media_type, sha256(command.content).digest()),
    )
    context.write(index, updated)
    context.set_content(updated, command.media_type, command.content)
    return Reason.NONE


def delete_object(context: Context, index: int, command: DeleteObject) -> Reason:
    """The object ends; its id never comes back."""
    found = _writable(context, command.object, command.version)
    if isinstance(found, Reason):
        return found
    context.delete(index, replace(found, version=found.version + 1))
    return Reason.NONE


def transfer_object(context: Context, index: int, command: TransferObject) -> Reason:
    """Another owner."""
    found = _owned(context, command.object, command.version)
    if isinstance(found, Reason):
        return found
    context.write(index, replace(found, version=found.version + 1, owner=command.recipient))
    return Reason.NONE


def share_object(context: Context, index: int, command: ShareObject) -> Reason:
    """From now on its writers' instead of its owner's."""
    found = _owned(context, command.object, command.version)
    if isinstance(found, Reason):
        return found
    context.write(index, _shared(context, replace(found, version=found.version + 1), command.writers))
    return Reason.NONE


def freeze_object(context: Context, index: int, command: FreezeObject) -> Reason:
    """From now on nobody's."""
    found = _owned(context, command.object, command.version)
    if isinstance(found, Reason):
        return found
    context.write(index, replace(found, version=found.version + 1, ownership=Ownership.IMMUTABLE, owner=b""))
    return Reason.NONE


def _owned(context: Context, key: bytes, version: int) -> Object | Reason:
    """An object that the signer owns, at exactly this version."""
    found = context.objects.get(key)
    if found is not None and found.ownership is Ownership.SHARED:
        return Reason.SHARED_OBJECT
    return _writable(context, key, version)


def _writable(context: Context, key: bytes, version: int) -> Object | Reason:
    """An object that the signer may write now."""
    found = context.objects.get(key)
    if found is None:
        return Reason.UNKNOWN_OBJECT
    match found.ownership:
        case Ownership.IMMUTABLE:
            return Reason.IMMUTABLE_OBJECT
        case Ownership.ADDRESS:
            if found.owner != context.signer:
                return Reason.NOT_THE_OWNER
            return found if version == found.version else Reason.STALE_VERSION
        case Ownership.SHARED:
            if found.writers and not context.writers.has(key, context.signer):
                return Reason.NOT_A_WRITER
            return found if version in (0, found.version) else Reason.STALE_VERSION
    assert_never(found.ownership)


def _shared(context: Context, before: Object, addresses: tuple[bytes, ...]) -> Object:
    """The object as its writers' instead of its owner's."""
    packed = b"".join(sorted(set(addresses)))
    context.set_writers(before, packed)
    return replace(
        before,
        ownership=Ownership.SHARED,
        owner=b"",
        writers=len(packed) // 32,
        details_digest=shared_digest(before.details_digest, packed),
    )
