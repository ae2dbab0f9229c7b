"""Functions for readers: content is shown as jsonb by what it holds, not by how it looks; from a time to a height."""

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

# A number of ten bytes, 1e131071, is one of 131072 digits once it is jsonb. A megabyte of such would be a bomb in the
# memory of whoever reads it, so JSON with numbers beyond what a double holds stays text. They are looked for outside
# strings only, in what is known to be JSON: json keeps numbers as they are written. 'statement_too_complex' is what a
# server says to JSON that is nested thousands deep.
_FUNCTION = r"""
CREATE OR REPLACE FUNCTION api.content_json(content bytea) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    written text := api.content_text(content);
    high constant text := '\\u[dD][89abAB][0-9a-fA-F]{2}';
    low constant text := '\\u[dD][c-fC-F][0-9a-fA-F]{2}';
BEGIN
    PERFORM written::json;
    IF written ~ '[eE][+-]?[0-9]{3}'
        AND regexp_replace(written, '"(?:[^"\\]|\\.)*"', '', 'g') ~ '[eE][+-]?0*(?:[1-9][0-9]{3}|[4-9][0-9]{2})' THEN
        RETURN NULL;
    END IF;
    IF written ~ '\\u(0000|[dD][89a-fA-F])' THEN
        -- Of a backslash that is escaped nothing else begins.
        written := replace(written, '\\', '\u005c');
        written := replace(written, '\u0000', '\ufffd');
        written := regexp_replace(written, '(?<!' || high || ')' || low, '\\ufffd', 'g');
        written := regexp_replace(written, high || '(?!' || low || ')', '\\ufffd', 'g');
    END IF;
    RETURN written::jsonb;
EXCEPTION WHEN data_exception OR program_limit_exceeded OR statement_too_complex THEN
    RETURN NULL;
END $$"""

_BEFORE = r"""
CREATE OR REPLACE FUNCTION api.content_json(content bytea) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    written text := api.content_text(content);
BEGIN
    RETURN CASE WHEN written !~ '[0-9][eE][+-]?[0-9]{3}' THEN written::jsonb END;
EXCEPTION WHEN data_exception OR program_limit_exceeded OR statement_too_complex THEN
    RETURN NULL;
END $$"""

# Block times grow with heights, and no index is on them: it halves the blocks, as many times as its height has bits.
_HEIGHT_AT = r"""
CREATE FUNCTION api.height_at("time" timestamptz) RETURNS bigint LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE AS $$
DECLARE
    low bigint := (SELECT min(b.height) FROM api.blocks AS b);
    high bigint := (SELECT max(b.height) FROM api.blocks AS b);
    middle bigint;
BEGIN
    IF low IS NULL OR (SELECT b."time" > height_at."time" FROM api.blocks AS b WHERE b.height = low) THEN
        RETURN NULL;
    END IF;
    WHILE low < high LOOP
        middle := high - (high - low) / 2;
        IF (SELECT b."time" > height_at."time" FROM api.blocks AS b WHERE b.height = middle) THEN
            high := middle - 1;
        ELSE
            low := middle;
        END IF;
    END LOOP;
    RETURN low;
END $$"""
_SAID_OF_HEIGHT_AT = (
    "The height that the chain had at a time: of the last block that is not after it; NULL before the first one that "
    "is there."
)

_COMMENT = "COMMENT ON FUNCTION api.content_json(bytea) IS '{}'"
_SAID = (
    "The bytes as jsonb; NULL where they are no JSON, or hold a number with an exponent of 400 or more. What jsonb "
    r"cannot hold of a text, \u0000 and halves of surrogate pairs, is U+FFFD."
)
_SAID_BEFORE = (
    "The bytes as jsonb; NULL where they do not parse, or hold a number with an exponent of three digits or more."
)


def upgrade() -> None:
    """Both, and what they give."""
    op.execute(_FUNCTION)
    op.execute(_COMMENT.format(_SAID))
    op.execute(_HEIGHT_AT)
    op.execute(f"COMMENT ON FUNCTION api.height_at(timestamptz) IS '{_SAID_OF_HEIGHT_AT}'")


def downgrade() -> None:
    """As it was."""
    op.execute("DROP FUNCTION api.height_at(timestamptz)")
    op.execute(_BEFORE)
    op.execute(_COMMENT.format(_SAID_BEFORE))
