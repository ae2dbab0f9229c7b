-- Before the node's first migration: the role that may read the schema api, with a password, so that Grafana can log in.
\getenv password LEDGER_READER_PASSWORD
CREATE ROLE momus_reader LOGIN PASSWORD :'password';
ALTER ROLE momus_reader SET statement_timeout = '30s';
ALTER ROLE momus_reader SET default_transaction_read_only = on;
