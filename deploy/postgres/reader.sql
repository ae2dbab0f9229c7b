-- Before the node's first migration: the role that may read the schema api, with a password, so that Grafana can log in.
\getenv password LEDGER_READER_PASSWORD
-- What bounds it, the node sets at each of its starts.
CREATE ROLE momus_reader LOGIN PASSWORD :'password';
