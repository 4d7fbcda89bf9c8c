-- +goose Up

-- Second factors: of a person one, by time-based codes (RFC 6238). Until its first code
-- was given it is not confirmed, and asks for nothing.
CREATE TABLE factors (
    user_id    TEXT PRIMARY KEY,
    secret     BLOB    NOT NULL, -- sealed under the person's key
    confirmed  INTEGER NOT NULL, -- 0 or 1
    last_step  INTEGER NOT NULL, -- of the last code that was used: no earlier one is good, and none twice
    created_at INTEGER NOT NULL  -- Unix seconds; or when it was confirmed
) STRICT;

-- Codes for a person whose device is lost, each for one use.
CREATE TABLE recovery_codes (
    user_id   TEXT NOT NULL,
    code_hash BLOB NOT NULL, -- keyed, under a key derived from the installation's secret
    PRIMARY KEY (user_id, code_hash)
) STRICT;

-- When a code was last given in a session, in Unix seconds; null where the person has no
-- factor.
ALTER TABLE sessions ADD COLUMN factor_at INTEGER;

-- +goose Down
ALTER TABLE sessions DROP COLUMN factor_at;
DROP TABLE recovery_codes;
DROP TABLE factors;
