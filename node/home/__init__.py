"""A node's home: its folder, the files in it, and the small files by which its processes tell each other things.

In: a folder. Out: paths, keys, locks, and files that are written whole or not at all.
"""
