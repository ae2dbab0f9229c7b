"""A deterministic world in virtual time, in which the production validator lives through every fault we can think of.

One seed in, one verdict out. Core, loop, journal, boot rules, messages and block verification are the production code;
log, disk, clock, clients and executor are virtual. Checkers are separate objects that watch what is sent, what is
durable and what is final. `momus simulate --seeds A..B` runs many worlds and prints the command that replays
one. Of all that is real only signatures are remembered (`signatures`); nothing is faked.
"""
