"""Verdicts and state in, effects out: a pure function, the same on every node.

`State` is the cache of what execution reads and writes. For each group of blocks its owner calls, in this order,
`State.wanted`, `State.learn` with the answer, `execute.execute`, flushes the effects, and then says `State.committed`.
Nothing here knows a clock, chance, a thread, SQL or Kafka.
"""
