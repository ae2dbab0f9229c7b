"""The intake of a process that starts from what its store holds."""

from collections.abc import Callable

from backbone.intake.intake import Intake, IntakeLimits, IntakeParts
from ledger.genesis import Genesis
from node.home.final_heads import final_heads, sources_above
from node.home.store_base import Base


def open_intake(
    parts: IntakeParts, genesis: Genesis, limits: IntakeLimits, base: Base | None, now_ms: Callable[[], int]
) -> Intake:
    """`base`: what is known of blocks that were pruned. Raises: StoreUnusable, StoreDamaged."""
    final = final_heads(parts.stored, genesis)
    found = sources_above(parts.stored, genesis, final, base)
    above = limits.above_a_block(genesis.limits.records_max, genesis.limits.bytes_max)
    return Intake(parts, genesis.empty_heads(), final, found, above, now_ms)
