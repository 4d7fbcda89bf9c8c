-- +goose Up

-- Mails with a link to set another password that were asked for and are not sent. A row is
-- written for any address, whether or not it has an account: who asks learns nothing from
-- it. What was asked is sealed under a key derived from the installation's secret; the link
-- is made when the mail is sent, and is not here.
CREATE TABLE reset_mails (
    id         TEXT PRIMARY KEY,
    sealed     BLOB    NOT NULL,
    tries      INTEGER NOT NULL,
    due_at     INTEGER NOT NULL, -- Unix seconds
    expires_at INTEGER NOT NULL  -- Unix seconds
) STRICT;

CREATE INDEX reset_mails_due ON reset_mails (due_at);

-- +goose Down
DROP TABLE reset_mails;
