"""Rows, as bytes and as objects: heads, objects, the live index, and whatever execution reads in one round trip."""
