"""Turns record bytes into verdicts: what can be said of them without knowing any state.

In: records (partition, offset, block time, value). Out: columns (`ledger.columns.Verdicts`), in log order.
"""
