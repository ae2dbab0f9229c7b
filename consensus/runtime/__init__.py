"""The protocol over real parts: journal, queues, log, store and clock, one turn after the other.

In: ports. Out: final blocks in the store, and messages in the log.
"""
