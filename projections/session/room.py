"""How many connections the server lets a role have at once."""

from typing import Final

QUESTION: Final = """SELECT CASE WHEN role.rolsuper THEN -1 ELSE role.rolconnlimit END AS of_role,
    CASE WHEN role.rolsuper THEN -1 ELSE database.datconnlimit END AS of_database,
    current_setting('max_connections')::int - CASE WHEN role.rolsuper THEN 0
        ELSE current_setting('superuser_reserved_connections')::int + current_setting('reserved_connections')::int
    END AS of_server
FROM pg_roles AS role, pg_database AS database
WHERE role.rolname = session_user AND database.datname = current_database()"""
"""Limits by role, database and server; -1: none. Others may hold some of what a database and a server let in."""


def allowed(of_role: int, of_database: int, of_server: int) -> int:
    """The least of what QUESTION gave."""
    return min(limit for limit in (of_role, of_database, of_server) if limit >= 0)
