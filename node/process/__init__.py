"""What every process of a node has in common: logs, a status file, signals, and how it ends.

In: a home and a body. Out: a process that a supervisor can start, watch and stop.
"""
