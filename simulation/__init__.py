"""A deterministic world in virtual time, in which the production validator lives through every fault we can think of.

One seed in, one verdict out. Core, loop, journal and boot rules are the production code; log, disk, clock and clients
are virtual. Checkers are separate objects that watch what is sent, what is durable and what is final. `python -m
simulation --seed N` replays one.
"""
