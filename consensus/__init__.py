"""Agreement on one order: Simplex, weighted by power, over a log (DESIGN §6; docs/protocol.md).

In: signed messages of validators, and what the own store holds of each partition. Out: signed votes, and final
blocks with the proof of their finality. Nothing here looks at what a transaction says.

`core` decides and does no IO; `messages` are the values, `tally` counts power, `leader` is the table, `heads` the own
store as the core knows it, `chain` the headers. `journal` and `driver` do the IO; `blocks` is for those who follow.
"""
