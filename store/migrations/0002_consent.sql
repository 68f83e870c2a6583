-- Topics, the ledger, the current answer, suppressions.

CREATE TABLE topics (
  id {{id}},
  name TEXT NOT NULL UNIQUE,
  kind TEXT NOT NULL CHECK (kind IN ('marketing', 'transactional')),
  title TEXT NOT NULL DEFAULT '{}',
  priority TEXT NOT NULL DEFAULT 'normal' CHECK (priority IN ('high', 'normal', 'low')),
  created_at BIGINT NOT NULL
);

-- The ledger: rows are added, never changed and never deleted. What points at
-- a person stands in consent_evidence and may be erased; commitment is a keyed
-- hash over it, so that the chain verifies before and after.
CREATE TABLE consent_entries (
  id {{id}},
  contact_id BIGINT NOT NULL,
  driver TEXT NOT NULL,
  topic_id BIGINT NOT NULL REFERENCES topics (id),
  state TEXT NOT NULL CHECK (state IN ('requested', 'granted', 'confirmed', 'withdrawn', 'objected', 'expired', 'erased')),
  basis TEXT NOT NULL,
  at BIGINT NOT NULL,
  recorded_at BIGINT NOT NULL,
  commitment TEXT NOT NULL
);
CREATE INDEX consent_entries_contact ON consent_entries (contact_id, id);

CREATE TABLE consent_evidence (
  entry_id BIGINT PRIMARY KEY REFERENCES consent_entries (id),
  salt TEXT NOT NULL,
  evidence TEXT NOT NULL
);

-- Seals chain the ledger: each covers the entries up to a number and the seal
-- before it.
CREATE TABLE ledger_seals (
  up_to BIGINT PRIMARY KEY,
  hash TEXT NOT NULL,
  at BIGINT NOT NULL
);

-- Number of the last seal, noted beside the chain. Whoever appends shares this
-- row and whoever seals takes it alone, so that no line comes late (numbers are
-- given out before they are committed).
INSERT INTO meta (key, value) VALUES ('ledger', '0');

-- The current answer, derived from the ledger in the same transaction.
CREATE TABLE consents (
  contact_id BIGINT NOT NULL REFERENCES contacts (id) ON DELETE CASCADE,
  driver TEXT NOT NULL,
  topic_id BIGINT NOT NULL REFERENCES topics (id),
  state TEXT NOT NULL CHECK (state IN ('pending', 'granted', 'withdrawn')),
  address TEXT NOT NULL,
  entry_id BIGINT NOT NULL REFERENCES consent_entries (id),
  at BIGINT NOT NULL,
  PRIMARY KEY (contact_id, driver, topic_id)
);

-- Addresses nobody may write to, by kind and keyed hash; the plain value may
-- be gone while the suppression stays.
CREATE TABLE suppressions (
  kind TEXT NOT NULL,
  hash TEXT NOT NULL,
  value TEXT,
  reason TEXT NOT NULL,
  detail TEXT NOT NULL DEFAULT '',
  actor TEXT NOT NULL DEFAULT '',
  at BIGINT NOT NULL,
  PRIMARY KEY (kind, hash)
);

-- The last refusal of an address that would suppress it if it came again
-- within a week.
CREATE TABLE strikes (
  kind TEXT NOT NULL,
  hash TEXT NOT NULL,
  at BIGINT NOT NULL,
  PRIMARY KEY (kind, hash)
);
