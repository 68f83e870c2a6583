-- What a person asks of marketing beside yes and no. driver '' and topic_id 0
-- stand for every one; every is in seconds, 0 for no such wish.
CREATE TABLE preferences (
  contact_id BIGINT NOT NULL REFERENCES contacts (id) ON DELETE CASCADE,
  driver TEXT NOT NULL DEFAULT '',
  topic_id BIGINT NOT NULL DEFAULT 0,
  paused_until BIGINT NOT NULL DEFAULT 0,
  every BIGINT NOT NULL DEFAULT 0,
  updated_at BIGINT NOT NULL,
  PRIMARY KEY (contact_id, driver, topic_id)
);

-- Calendars that were put in by command; those of the program and of the
-- configuration are files.
CREATE TABLE calendars (
  name TEXT PRIMARY KEY,
  source TEXT NOT NULL,
  updated_at BIGINT NOT NULL
);

-- Whom a run's quiet hours and caps would have held, where they only report:
-- once a delivery and reason.
CREATE TABLE shadows (
  run_id BIGINT NOT NULL REFERENCES runs (id),
  delivery_id BIGINT NOT NULL,
  reason TEXT NOT NULL,
  at BIGINT NOT NULL,
  PRIMARY KEY (run_id, reason, delivery_id)
);
