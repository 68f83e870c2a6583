-- Templates with their revisions, and campaigns.

CREATE TABLE templates (
  id {{id}},
  uid TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL UNIQUE,
  driver TEXT NOT NULL,
  title TEXT NOT NULL DEFAULT '',
  topic TEXT NOT NULL DEFAULT '',
  locale TEXT NOT NULL,
  head BIGINT NOT NULL DEFAULT 0,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL
);

-- A revision never changes. content holds the sources by locale and part, the
-- files and the samples; links is the numbered table that click links name.
CREATE TABLE revisions (
  id {{id}},
  template_id BIGINT NOT NULL REFERENCES templates (id),
  number BIGINT NOT NULL,
  content TEXT NOT NULL,
  links TEXT NOT NULL DEFAULT '[]',
  digest TEXT NOT NULL,
  actor TEXT NOT NULL DEFAULT '',
  created_at BIGINT NOT NULL,
  UNIQUE (template_id, number)
);

-- next_at: when the next run begins; next_for: which one it is, the moment or
-- with the recipients' zones the wall time as UTC.
CREATE TABLE campaigns (
  id {{id}},
  uid TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL UNIQUE,
  title TEXT NOT NULL DEFAULT '',
  state TEXT NOT NULL CHECK (state IN ('draft', 'scheduled', 'running', 'paused', 'finished', 'cancelled')),
  definition TEXT NOT NULL,
  next_at BIGINT,
  next_for BIGINT,
  revision BIGINT NOT NULL DEFAULT 1,
  actor TEXT NOT NULL DEFAULT '',
  note TEXT NOT NULL DEFAULT '',
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL
);
CREATE INDEX campaigns_due ON campaigns (next_at) WHERE next_at IS NOT NULL;
