"""For whom somebody waits who needs a lock: for sessions, or for prepared transactions, which belong to no session."""

from typing import Final

from projections.session.connect import Connection

SHOWN_MAX: Final = 5

_SESSION: Final = """format('pid %%s of %%s%%s%%s', s.pid, coalesce(s.usename, s.backend_type),
    ' (' || nullif(s.application_name, '') || ')',
    ', ' || s.state || ' for ' || extract(epoch FROM clock_timestamp() - s.state_change)::bigint || ' s')"""
"""In words, a row `s` of pg_stat_activity. Its state is shown to its own role and to `pg_read_all_stats` only."""
_TRANSACTION: Final = """format('prepared transaction %%L of %%s since %%s UTC, which COMMIT PREPARED or '
    'ROLLBACK PREPARED ends', p.gid, p.owner, to_char(p.prepared AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'))"""
"""In words, a row `p` of pg_prepared_xacts."""
_LOCKS: Final = """(SELECT its.*, p.transaction AS prepared FROM pg_prepared_xacts AS p
    JOIN pg_locks AS own ON own.locktype = 'transactionid' AND own.transactionid = p.transaction AND own.granted
    JOIN pg_locks AS its ON its.virtualtransaction = own.virtualtransaction AND its.pid IS NULL AND its.granted)"""
"""Those of prepared transactions. They name no process, and what they name in its place becomes another thing when the
server restarts; but one of them is that of the transaction's own id."""

_WAITING: Final = f"""WITH RECURSIVE waiting (pid, holder) AS (
    SELECT pid, unnest(pg_blocking_pids(pid)) FROM pg_stat_activity
    WHERE datname = current_database() AND usename = session_user AND wait_event_type = 'Lock'
        AND application_name LIKE 'momus%%' AND clock_timestamp() - query_start > %(longer_s)s * interval '1 s'
    UNION SELECT holder, unnest(pg_blocking_pids(holder)) FROM waiting
)
SELECT w.pid, coalesce(nullif(a.application_name, ''), 'pid ' || w.pid), w.holder, {_SESSION}
FROM waiting AS w JOIN pg_stat_activity AS a ON a.pid = w.pid LEFT JOIN pg_stat_activity AS s ON s.pid = w.holder
ORDER BY a.application_name LIKE 'momus%%' DESC, a.query_start, w.pid, w.holder LIMIT {SHOWN_MAX}"""
"""Sessions of ours, and those that they wait for and that wait themselves: (pid, its name, holder's pid, in words).
The holder 0 stands for prepared transactions."""

_MODES: Final = """(VALUES ('AccessShareLock', 1, 8), ('RowShareLock', 2, 7), ('RowExclusiveLock', 3, 5),
    ('ShareUpdateExclusiveLock', 4, 4), ('ShareLock', 5, 3), ('ShareRowExclusiveLock', 6, 3), ('ExclusiveLock', 7, 2),
    ('AccessExclusiveLock', 8, 1))"""
"""(mode, rank, lowest rank that it conflicts with, as with all above). That two share locks do not conflict makes no
difference: who waits for one waits for a mode that nobody's share lock lets in."""
_PREPARED: Final = f"""SELECT DISTINCT {_TRANSACTION} FROM pg_locks AS wanted
    JOIN {_LOCKS} AS held ON (held.locktype, held.database, held.relation, held.page, held.tuple, held.virtualxid,
            held.transactionid, held.classid, held.objid, held.objsubid)
        IS NOT DISTINCT FROM (wanted.locktype, wanted.database, wanted.relation, wanted.page, wanted.tuple,
            wanted.virtualxid, wanted.transactionid, wanted.classid, wanted.objid, wanted.objsubid)
    JOIN pg_prepared_xacts AS p ON p.transaction = held.prepared
    JOIN {_MODES} AS w (mode, rank, lowest) ON w.mode = wanted.mode
    JOIN {_MODES} AS h (mode, rank, lowest) ON h.mode = held.mode
WHERE wanted.pid = %s AND NOT wanted.granted AND h.rank >= w.lowest
ORDER BY 1 LIMIT {SHOWN_MAX}"""
"""Those that a process waits for: locks on the same, in a mode that conflicts."""

_OURS: Final = """l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND l.relation IN (SELECT oid FROM pg_class
        WHERE relnamespace IN (to_regnamespace('ledger'), to_regnamespace('api')))"""
"""A lock `l` on a table of ours."""
_HOLDERS: Final = f"""SELECT {_SESSION} FROM pg_stat_activity AS s
    WHERE s.pid <> pg_backend_pid() AND EXISTS (SELECT FROM pg_locks AS l WHERE l.pid = s.pid AND {_OURS})
UNION ALL SELECT {_TRANSACTION} FROM pg_prepared_xacts AS p
    WHERE EXISTS (SELECT FROM {_LOCKS} AS l WHERE l.prepared = p.transaction AND {_OURS})
LIMIT %s"""
_OF_DATABASE: Final = f"SELECT {_TRANSACTION} FROM pg_prepared_xacts AS p WHERE p.database = %s ORDER BY 1 LIMIT %s"


def lock_waits(connection: Connection, longer_s: float = 1) -> list[str]:
    """For whom sessions of ours have waited for longer than that, in sentences without an end; and for whom those."""
    found = []
    for pid, name, holder, words in connection.execute(_WAITING, {"longer_s": longer_s}).fetchall():
        holders = [words] if holder else [row[0] for row in connection.execute(_PREPARED, [pid])]
        found += [f"{name} waits for a lock held by {each}" for each in holders]
    return found


def lock_holders(connection: Connection) -> list[str]:
    """Who else has locks on our tables, the first few, in words."""
    return [str(row[0]) for row in connection.execute(_HOLDERS, [SHOWN_MAX])]


def prepared_in(connection: Connection, database: str) -> list[str]:
    """The prepared transactions of a database of this server, the first few, in words. Such a one is not dropped."""
    return [str(row[0]) for row in connection.execute(_OF_DATABASE, [database, SHOWN_MAX])]
