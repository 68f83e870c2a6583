-- Mails that were dealt with: the digest that all copies of one share. It says
-- nothing about people and is forgotten after a time.
CREATE TABLE inbox_mails (
  digest TEXT PRIMARY KEY,
  at BIGINT NOT NULL
);
CREATE INDEX inbox_mails_at ON inbox_mails (at);

-- How far the folders of mailboxes have been read.
CREATE TABLE inbox_cursors (
  mailbox TEXT PRIMARY KEY,
  validity BIGINT NOT NULL,
  uid BIGINT NOT NULL
);
