"""Settings of a node: one frozen tree, read once from momus.toml and `MOMUS_*`.

In: a file and the environment. Out: checked values, or one sentence that says which setting is wrong and how.
"""
