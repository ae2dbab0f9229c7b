"""What nodes get from each other: ranges of records, served from one store and verified by who asked for them.

In: a head, and a later one of the same partition and incarnation. Out: the records between them, hashed from the one
to the other. Nothing that another node says is believed; nobody is asked who they are, since what is served is public
among those who share the log.
"""
