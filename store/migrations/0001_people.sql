-- People, their addresses and attributes, segments, imports.
-- {{id}} and {{json}} are spelt per engine by the dialect; times are UTC microseconds.

CREATE TABLE meta (
  key TEXT PRIMARY KEY,
  value TEXT NOT NULL
);

-- A number is never given out again: the ledger and deliveries keep those of
-- people who were erased.
CREATE TABLE contacts (
  id {{ever id}},
  uid TEXT NOT NULL UNIQUE,
  external_id TEXT UNIQUE,
  locale TEXT NOT NULL DEFAULT '',
  zone TEXT NOT NULL DEFAULT '',
  attributes {{json}} NOT NULL,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL
);

-- position 0 is the primary address of its kind; hash is the keyed fingerprint
-- that suppressions are found by.
CREATE TABLE addresses (
  id {{id}},
  contact_id BIGINT NOT NULL REFERENCES contacts (id) ON DELETE CASCADE,
  kind TEXT NOT NULL,
  value TEXT NOT NULL,
  display TEXT NOT NULL,
  hash TEXT NOT NULL,
  position SMALLINT NOT NULL DEFAULT 0,
  UNIQUE (kind, value),
  UNIQUE (contact_id, kind, position)
);

CREATE TABLE attribute_types (
  name TEXT PRIMARY KEY,
  type TEXT NOT NULL CHECK (type IN ('text', 'number', 'bool', 'date', 'time', 'json')),
  created_at BIGINT NOT NULL
);

CREATE TABLE segments (
  id {{id}},
  name TEXT NOT NULL UNIQUE,
  title TEXT NOT NULL DEFAULT '',
  condition TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL
);

-- One row a file and mapping: where a broken import goes on, and what a
-- finished one said.
CREATE TABLE imports (
  id {{id}},
  digest TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL,
  done_rows BIGINT NOT NULL DEFAULT 0,
  report TEXT NOT NULL DEFAULT '{}',
  started_at BIGINT NOT NULL,
  finished_at BIGINT
);
