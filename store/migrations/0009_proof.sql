-- How a line of the ledger is hashed: lines from before this are of schema 1.
ALTER TABLE consent_entries ADD COLUMN schema SMALLINT NOT NULL DEFAULT 1;

-- When a yes ends that nobody renews; 0: it stands until a no.
ALTER TABLE consent_entries ADD COLUMN expires_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE consents ADD COLUMN expires_at BIGINT NOT NULL DEFAULT 0;
CREATE INDEX consents_expiring ON consents (expires_at) WHERE expires_at > 0;

-- What people were shown, word for word. Rows are added, never changed and
-- never deleted. hash is that of the text; seal is that of the row and the one
-- before it, and the last one is noted in meta.
CREATE TABLE wordings (
  id {{id}},
  name TEXT NOT NULL,
  version BIGINT NOT NULL,
  locale TEXT NOT NULL,
  text TEXT NOT NULL,
  hash TEXT NOT NULL,
  actor TEXT NOT NULL,
  at BIGINT NOT NULL,
  seal TEXT NOT NULL,
  UNIQUE (name, version, locale)
);

INSERT INTO meta (key, value) VALUES ('wordings', '');
