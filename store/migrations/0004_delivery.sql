-- Runs, batches, deliveries: the truth about every recipient.

-- A process that sends. Its rows are nobody else's while it lives.
CREATE TABLE workers (
  id {{id}},
  name TEXT NOT NULL,
  started_at BIGINT NOT NULL,
  beat_at BIGINT NOT NULL,
  gone_at BIGINT
);

-- One execution of a campaign, or a send to one person (no campaign, maybe a
-- reference). terms and audience are frozen at its start.
CREATE TABLE runs (
  id {{id}},
  uid TEXT NOT NULL UNIQUE,
  campaign_id BIGINT REFERENCES campaigns (id),
  reference TEXT UNIQUE,
  name TEXT NOT NULL,
  channel TEXT NOT NULL,
  driver TEXT NOT NULL,
  kind TEXT NOT NULL,
  topic_id BIGINT NOT NULL REFERENCES topics (id),
  class TEXT NOT NULL CHECK (class IN ('marketing', 'transactional')),
  revision_id BIGINT NOT NULL REFERENCES revisions (id),
  terms TEXT NOT NULL DEFAULT '{}',
  audience TEXT NOT NULL DEFAULT '{}',
  state TEXT NOT NULL CHECK (state IN ('planning', 'running', 'paused', 'cancelling', 'cancelled', 'finished')),
  note TEXT NOT NULL DEFAULT '',
  scheduled_for BIGINT NOT NULL,
  expires_after BIGINT NOT NULL DEFAULT 0,
  cursor BIGINT NOT NULL DEFAULT 0,
  planned_at BIGINT,
  started_at BIGINT NOT NULL,
  finished_at BIGINT,
  notified_at BIGINT,
  UNIQUE (campaign_id, scheduled_for)
);
CREATE INDEX runs_open ON runs (id) WHERE state IN ('planning', 'running', 'paused', 'cancelling');
CREATE INDEX runs_planning ON runs (id) WHERE state = 'planning';
CREATE INDEX runs_untold ON runs (id) WHERE campaign_id IS NOT NULL AND finished_at IS NOT NULL AND notified_at IS NULL;

-- Deliveries that are worked on together. The counters change in the same
-- transaction as the rows they count. next_at: the earliest time something is
-- due; null when nothing waits.
CREATE TABLE batches (
  id {{id}},
  run_id BIGINT NOT NULL REFERENCES runs (id),
  channel TEXT NOT NULL,
  lane TEXT NOT NULL CHECK (lane IN ('now', 'bulk')),
  pace TEXT NOT NULL DEFAULT '',
  round BIGINT NOT NULL DEFAULT 0,
  next_at BIGINT,
  armed_until BIGINT NOT NULL DEFAULT 0,
  planned BIGINT NOT NULL DEFAULT 0,
  queued BIGINT NOT NULL DEFAULT 0,
  claimed BIGINT NOT NULL DEFAULT 0,
  sending BIGINT NOT NULL DEFAULT 0,
  sent BIGINT NOT NULL DEFAULT 0,
  failed BIGINT NOT NULL DEFAULT 0,
  uncertain BIGINT NOT NULL DEFAULT 0,
  suppressed BIGINT NOT NULL DEFAULT 0,
  cancelled BIGINT NOT NULL DEFAULT 0,
  expired BIGINT NOT NULL DEFAULT 0,
  expires_at BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX batches_run ON batches (run_id);
CREATE INDEX batches_due ON batches (lane, next_at) WHERE next_at IS NOT NULL;
CREATE INDEX batches_expiring ON batches (expires_at) WHERE next_at IS NOT NULL AND expires_at > 0;

CREATE TABLE deliveries (
  id {{id}},
  run_id BIGINT NOT NULL REFERENCES runs (id),
  batch_id BIGINT NOT NULL REFERENCES batches (id),
  contact_id BIGINT NOT NULL,
  address TEXT,
  state TEXT NOT NULL CHECK (state IN ('queued', 'claimed', 'sending', 'sent', 'failed', 'uncertain', 'suppressed', 'cancelled', 'expired')),
  reason TEXT NOT NULL DEFAULT '',
  turn BIGINT NOT NULL DEFAULT 0,
  attempt BIGINT NOT NULL DEFAULT 0,
  not_before BIGINT NOT NULL DEFAULT 0,
  expires_at BIGINT NOT NULL DEFAULT 0,
  worker_id BIGINT,
  entry_id BIGINT,
  code TEXT NOT NULL DEFAULT '',
  provider_id TEXT NOT NULL DEFAULT '',
  server TEXT NOT NULL DEFAULT '',
  data TEXT,
  updated_at BIGINT NOT NULL,
  UNIQUE (run_id, contact_id),
  UNIQUE (run_id, address)
);
CREATE INDEX deliveries_due ON deliveries (batch_id, not_before, id) WHERE state = 'queued';
CREATE INDEX deliveries_held ON deliveries (worker_id, id) WHERE state IN ('claimed', 'sending');
CREATE INDEX deliveries_reason ON deliveries (run_id, state, reason) WHERE reason <> '';
CREATE INDEX deliveries_contact ON deliveries (contact_id, run_id);

-- People of an audience who were not planned, with the reason; the counts
-- stand apart so that the rows may be pruned.
CREATE TABLE not_planned (
  run_id BIGINT NOT NULL REFERENCES runs (id),
  contact_id BIGINT NOT NULL,
  reason TEXT NOT NULL,
  PRIMARY KEY (run_id, contact_id)
);
CREATE TABLE not_planned_counts (
  run_id BIGINT NOT NULL REFERENCES runs (id),
  reason TEXT NOT NULL,
  n BIGINT NOT NULL,
  PRIMARY KEY (run_id, reason)
);

-- Attempts that ended otherwise than sent at the first try.
CREATE TABLE attempts (
  id {{id}},
  delivery_id BIGINT NOT NULL REFERENCES deliveries (id),
  turn BIGINT NOT NULL,
  at BIGINT NOT NULL,
  verdict TEXT NOT NULL,
  reason TEXT NOT NULL DEFAULT '',
  code TEXT NOT NULL DEFAULT '',
  detail TEXT NOT NULL DEFAULT '',
  server TEXT NOT NULL DEFAULT ''
);
CREATE INDEX attempts_delivery ON attempts (delivery_id, id);

-- Channels that may not send for now. until 0 waits for a person or for a
-- successful check.
CREATE TABLE holds (
  channel TEXT PRIMARY KEY,
  until BIGINT NOT NULL,
  reason TEXT NOT NULL,
  detail TEXT NOT NULL DEFAULT '',
  since BIGINT NOT NULL,
  notified_at BIGINT
);
