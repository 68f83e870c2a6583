-- What came back. dedupe makes a repeated hit count once.

CREATE TABLE responses (
  id {{id}},
  kind TEXT NOT NULL CHECK (kind IN ('opened', 'clicked', 'replied', 'bounced', 'complained', 'unsubscribed', 'answered', 'attended', 'converted')),
  run_id BIGINT NOT NULL,
  contact_id BIGINT NOT NULL,
  link BIGINT NOT NULL DEFAULT 0,
  machine SMALLINT NOT NULL DEFAULT 0,
  agent TEXT NOT NULL DEFAULT '',
  detail TEXT NOT NULL DEFAULT '',
  dedupe TEXT NOT NULL UNIQUE,
  at BIGINT NOT NULL
);
CREATE INDEX responses_contact ON responses (contact_id, kind, run_id);
CREATE INDEX responses_run ON responses (run_id, kind, link, contact_id, machine);
