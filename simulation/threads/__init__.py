"""Virtual threads: production's threads, locks, queues and ports in virtual time, under a scheduler with a seed.

In: what `backbone.threads` asks for, and parts that are wrapped as ports. Out: one of the orders in which threads may
run.
"""
