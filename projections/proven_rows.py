"""One row of the state with its tree proof, as of the newest certified checkpoint, from one view of the database."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from ledger import leaves
from ledger.leaf_reading import read_leaf
from ledger.leaves import Kind, Leaf
from ledger.object_parts import ObjectDetails
from ledger.state import Object, Wanted
from projections.flush.tree import read_nodes, root_of
from projections.rows.object_rows import details_of
from projections.rows.prefetch import prefetch
from projections.session.connect import Connection
from projections.session.errors import StateDiffers
from tree.nodes import Child, LeafKey, TreeDamaged, decode_node, node_hash
from tree.proofs import Proof, prove, verify

_BEGIN: Final = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"
_LOCK: Final = "LOCK TABLE ledger.changed_balances, ledger.changed_keys IN ACCESS SHARE MODE"
_CERTIFIED: Final = """SELECT height, certificate FROM ledger.certificates JOIN ledger.checkpoints USING (height)
ORDER BY height DESC LIMIT 1"""
_ROOT_AT: Final = """SELECT version, node FROM ledger.tree_nodes WHERE path = '' AND version <= %s
ORDER BY version DESC LIMIT 1"""
_LEAF: Final = "SELECT key, value FROM ledger.tree_leaves WHERE key_hash = %s AND version = %s"
_NEWEST: Final = "SELECT coalesce(max(height), 0) FROM ledger.checkpoints"
_BALANCE_CHANGED: Final = "SELECT EXISTS (SELECT FROM ledger.changed_balances WHERE asset = %s AND address = %s)"
_KEY_CHANGED: Final = "SELECT EXISTS (SELECT FROM ledger.changed_keys WHERE key = %s)"
_REMEDY: Final = "Somebody has changed this database by hand, or it is damaged; `momus replay` builds a good one."


@dataclass(frozen=True, slots=True)
class ProvenRow:
    """`value`, `details` (of an object) and `proof` are of the checkpoint; `live` is the row as the node has it now.
    None: no such row."""

    height: int
    value: bytes | None
    details: ObjectDetails | None
    proof: Proof
    live: bytes | None


@contextmanager
def one_view(connection: Connection) -> Iterator[None]:
    """A read-only transaction that sees one state of all tables.

    The tables of changes are locked before the view is taken: a checkpoint truncates them, where nobody has, and
    truncation shows also in older views.
    """
    with connection.transaction():
        connection.execute(_BEGIN)
        connection.execute(_LOCK)
        yield


def newest_certified(connection: Connection) -> tuple[int, bytes] | None:
    """(height, certificate) of the newest checkpoint of this node that is certified."""
    return connection.execute(_CERTIFIED, binary=True).fetchone()


def proven_row(connection: Connection, key: bytes, height: int, state_root: bytes) -> ProvenRow:
    """The row of a leaf key as of a checkpoint, which leads to `state_root`. Within `one_view`.

    Raises: StateDiffers, where the tree's tables do not lead there, or the live row is not what execution left.
    """
    try:
        value, proof = _at(connection, key, _root_at(connection, height))
        if not verify(state_root, leaves.key_hash(key), _hash(value), proof):
            raise StateDiffers(
                f"The tree's tables do not lead to the certified state root of height {height}. {_REMEDY}"
            )
        live = live_value(connection, key)
        newest = _newest_height(connection)
        noted = value if newest == height else _at(connection, key, root_of(connection))[0]
    except TreeDamaged as error:
        raise StateDiffers(f"{error} {_REMEDY}") from error
    if live != noted and not _is_changed(connection, key):
        raise StateDiffers(
            f"The row is not what it was at height {newest}, yet nothing executed since has changed it. {_REMEDY}"
        )
    return ProvenRow(height, value, _details(connection, key, value), proof, live)


def _details(connection: Connection, key: bytes, value: bytes | None) -> ObjectDetails | None:
    """What an object's value has the hashes of. Raises: StateDiffers."""
    item = None if value is None else read_leaf(key, value)
    if not isinstance(item, Object):
        return None
    details = details_of(connection, item)
    if details is None or not item.is_of(details):
        raise StateDiffers(
            f"The object's type, writers or content are not those that its row has the hashes of. {_REMEDY}"
        )
    return details


def live_value(connection: Connection, key: bytes) -> bytes | None:
    """The leaf's value by the state tables: of an object, a balance or an asset."""
    name = key[1:]
    if key[0] == Kind.BALANCE:
        asset, address = name[:32], name[32:]
        found = prefetch(connection, Wanted({asset: (address,)}, (), (), (), (), ()))
        amount = found.balances.get(asset, {}).get(address)
        return None if amount is None else leaves.balance_value(amount)
    if key[0] == Kind.ASSET:
        assets = prefetch(connection, Wanted({}, (name,), (), (), (), ())).assets
        return leaves.asset_value(assets[name]) if name in assets else None
    objects = prefetch(connection, Wanted({}, (), (name,), (), (), ())).objects
    return leaves.object_value(objects[name]) if name in objects else None


def _at(connection: Connection, key: bytes, root: Child | None) -> tuple[bytes | None, Proof]:
    """What a version of the tree says of a key. Raises: TreeDamaged."""
    found: list[Leaf] = []

    def value_hash(leaf: LeafKey) -> bytes:
        row = connection.execute(_LEAF, (leaf.key_hash, leaf.version), binary=True).fetchone()
        if row is None or leaves.key_hash(row[0]) != leaf.key_hash:
            raise TreeDamaged(f"The leaf {leaf.key_hash.hex()} of the state tree is missing.")
        found.append(row)
        return leaves.value_hash(row[1])

    proof = prove(root, leaves.key_hash(key), lambda keys: read_nodes(connection, keys), value_hash)
    return (found[0][1] if proof.is_there else None), proof


def _root_at(connection: Connection, height: int) -> Child | None:
    """The root as of a checkpoint: genesis alone makes more than one leaf, so it is always a node."""
    row = connection.execute(_ROOT_AT, (height,), binary=True).fetchone()
    return None if row is None else Child(row[0], node_hash(decode_node(row[1])), None)


def _hash(value: bytes | None) -> bytes | None:
    return None if value is None else leaves.value_hash(value)


def _newest_height(connection: Connection) -> int:
    row = connection.execute(_NEWEST).fetchone()
    assert row is not None
    return int(row[0])


def _is_changed(connection: Connection, key: bytes) -> bool:
    """Whether a flush since the newest checkpoint has noted the key."""
    if key[0] == Kind.BALANCE:
        row = connection.execute(_BALANCE_CHANGED, (key[1:33], key[33:])).fetchone()
    else:
        row = connection.execute(_KEY_CHANGED, (key,)).fetchone()
    assert row is not None
    return bool(row[0])
