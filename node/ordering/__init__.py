"""The order process: runs consensus on the log, keeps what is final, serves records to other nodes.

In: the log, the journal, other validators. Out: final blocks in the store.
"""
