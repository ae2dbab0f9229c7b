"""Making homes: `momus init`, joining a chain, drafting and sealing a genesis.

In: names, addresses, keys. Out: a home that runs, whole or not at all.
"""
