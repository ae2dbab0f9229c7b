"""Agreement on one order: Simplex, weighted by power, over a log (docs/protocol.md).

In: signed messages of validators, and what the own store holds of each partition. Out: signed votes, and final
blocks with the proof of their finality. Nothing here looks at what a transaction says.

`wire` is what travels: messages, certificates, proofs of final blocks. `core` decides and does no IO. `runtime` runs
the core over journal, log, store and clock.
"""
