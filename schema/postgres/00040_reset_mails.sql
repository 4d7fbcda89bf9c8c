-- +goose Up

-- Mails with a link to set another password that were asked for and are not sent. A row is
-- written for any address, whether or not it has an account: who asks learns nothing from
-- it. What was asked is sealed under a key derived from the installation's secret; the link
-- is made when the mail is sent, and is not here.
CREATE TABLE reset_mails (
    id         text PRIMARY KEY,
    sealed     bytea       NOT NULL,
    tries      integer     NOT NULL,
    due_at     timestamptz NOT NULL,
    expires_at timestamptz NOT NULL
);

CREATE INDEX reset_mails_due ON reset_mails (due_at);

GRANT SELECT, INSERT, UPDATE, DELETE ON reset_mails TO kassa_app;

-- +goose Down
DROP TABLE reset_mails;
