"""A state out of a database, as of one checkpoint, and into a fresh one."""
