-- What people ask for through a public door and confirm from their own mailbox.
-- asked holds what was typed and where from; the row goes when it has expired,
-- and with the contact. A number is never given out again: it stands in links.
CREATE TABLE requests (
  id {{ever id}},
  kind TEXT NOT NULL CHECK (kind IN ('subscribe', 'renew', 'move', 'see_data', 'erase')),
  contact_id BIGINT NOT NULL REFERENCES contacts (id) ON DELETE CASCADE,
  person_id BIGINT NOT NULL REFERENCES contacts (id) ON DELETE CASCADE,
  made SMALLINT NOT NULL DEFAULT 0,
  driver TEXT NOT NULL,
  asked TEXT NOT NULL,
  asked_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  delivery TEXT NOT NULL DEFAULT '',
  mailed_at BIGINT NOT NULL DEFAULT 0,
  message_id TEXT NOT NULL DEFAULT '',
  confirmed_at BIGINT NOT NULL DEFAULT 0,
  confirm_ip TEXT NOT NULL DEFAULT '',
  confirm_agent TEXT NOT NULL DEFAULT '',
  handled_at BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX requests_contact ON requests (contact_id);
CREATE INDEX requests_person ON requests (person_id);
CREATE INDEX requests_expiry ON requests (expires_at);
CREATE INDEX requests_unfinished ON requests (asked_at) WHERE delivery = '' OR (confirmed_at > 0 AND handled_at = 0);

-- The last letter that somebody asked for, by the keyed fingerprint of the
-- mailbox: at most one a day.
CREATE TABLE request_letters (
  mailbox TEXT PRIMARY KEY,
  at BIGINT NOT NULL
);
