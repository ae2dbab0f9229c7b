"""Nodes of the state tree that a process keeps from one checkpoint to the next."""

from projections.flush.node_cache import ENTRY_BYTES, NodeCache
from tree.nodes import NodeKey

NODES = {NodeKey(bytes((number,)), 1): bytes(100) for number in range(10)}
KEYS = list(NODES)


def held(cache: NodeCache) -> list[NodeKey]:
    return [key for key in KEYS if cache.get(key) is not None]


def test_what_was_kept_last_stays_within_the_bound() -> None:
    cache = NodeCache(3 * (ENTRY_BYTES + 100))
    cache.keep(dict.fromkeys(KEYS[:4], bytes(100)))
    assert held(cache) == KEYS[1:4]
    cache.keep(dict.fromkeys(KEYS[4:6], bytes(100)))
    assert held(cache) == KEYS[3:6]


def test_what_was_dropped_makes_room() -> None:
    cache = NodeCache(3 * (ENTRY_BYTES + 100))
    cache.keep(dict.fromkeys(KEYS[:3], bytes(100)))
    cache.drop([KEYS[1], KEYS[9]])
    cache.keep({KEYS[3]: bytes(100)})
    assert held(cache) == [KEYS[0], KEYS[2], KEYS[3]]


def test_a_node_kept_twice_is_counted_once() -> None:
    cache = NodeCache(3 * (ENTRY_BYTES + 100))
    for _ in range(5):
        cache.keep({KEYS[0]: bytes(100)})
    cache.keep({KEYS[1]: bytes(100), KEYS[2]: bytes(100)})
    assert held(cache) == KEYS[:3]


def test_nothing_is_left_after_clearing() -> None:
    cache = NodeCache(3 * (ENTRY_BYTES + 100))
    cache.keep(NODES)
    cache.clear()
    assert held(cache) == []
    cache.keep(dict.fromkeys(KEYS[:3], bytes(100)))
    assert held(cache) == KEYS[:3]
