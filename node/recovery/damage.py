"""Damage that a drill does to its copy first, so that it shows what is detected and what heals."""

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from random import Random

from backbone.store.files import final_folder, segments
from projections.session.connect import connect


class Injection(StrEnum):
    """What is damaged."""

    TABLE = "table"
    """A table of the rebuilt database is dropped."""
    ROW = "row"
    """A row of the rebuilt database is changed."""
    TAIL = "tail"
    """The end of the copied store is cut off, in the middle of a record."""
    SEGMENT = "segment"
    """A byte in the middle of a segment of the copied store is another one."""
    CHUNK = "chunk"
    """A file of the newest snapshot is gone, or a bit of it is another one."""
    KILL = "kill"
    """Recovery is killed half-way."""


OF_STORE = (Injection.TAIL, Injection.SEGMENT)
OF_DATABASE = (Injection.TABLE, Injection.ROW)


def damage_store(store: Path, injection: Injection, random: Random) -> str:
    """Damage a copy of a store; what was done, as a sentence."""
    if injection is Injection.TAIL:
        segment = segments(final_folder(store))[-1].path
        size = segment.stat().st_size
        kept = random.randrange(size // 4, size * 3 // 4)
        with segment.open("r+b") as file:
            file.truncate(kept)
        return f"{segment.relative_to(store)} was cut from {size} to {kept} bytes."
    folders = sorted(folder for folder in store.glob("partition-*") if segments(folder))
    segment = random.choice(segments(random.choice(folders))).path
    data = bytearray(segment.read_bytes())
    place = random.randrange(len(data) // 3, len(data) * 2 // 3)
    data[place] ^= 1 << random.randrange(8)
    segment.write_bytes(data)
    return f"A bit of byte {place} of {segment.relative_to(store)} was turned over."


def damage_snapshot(folder: Path, random: Random) -> str:
    """Damage a copy of a snapshot; what was done, as a sentence."""
    file = random.choice(sorted(folder.glob("*.avro")))
    if random.randrange(2):
        file.unlink()
        return f"{file.name} of the snapshot was deleted."
    data = bytearray(file.read_bytes())
    place = random.randrange(len(data))
    data[place] ^= 1 << random.randrange(8)
    file.write_bytes(data)
    return f"A bit of byte {place} of {file.name} of the snapshot was turned over."


def damage_database(url: str, injection: Injection, random: Random) -> str:
    """Damage a scratch database; what was done, as a sentence."""
    with connect(url) as connection:
        if injection is Injection.TABLE:
            connection.execute("DROP TABLE ledger.balances CASCADE")
            return "The table ledger.balances was dropped."
        rows: Sequence[tuple[bytes, bytes, int]] = connection.execute(
            "SELECT asset, address, amount FROM ledger.balances ORDER BY asset, address LIMIT 1000"
        ).fetchall()
        asset, address, amount = random.choice(rows)
        more = "UPDATE ledger.balances SET amount = amount + 1 WHERE asset = %s AND address = %s"
        connection.execute(more, [asset, address])
        return f"The balance of {address.hex()} was changed from {amount} to {amount + 1}."
