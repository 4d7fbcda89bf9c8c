-- +goose Up

-- A second factor that is not confirmed belongs to the session to which it was offered. Null
-- where it is confirmed, and for offers of the program before, which nobody can confirm.
ALTER TABLE factors ADD COLUMN session BLOB; -- the beginning of its token's hash

-- +goose Down
ALTER TABLE factors DROP COLUMN session;
