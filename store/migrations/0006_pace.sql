-- How fast things leave, shared by all processes. Times between two departures
-- and lengths are microseconds.

-- The rate of a channel as somebody set it while it was sending.
CREATE TABLE channel_rates (
  channel TEXT PRIMARY KEY,
  amount BIGINT NOT NULL,
  per BIGINT NOT NULL,
  set_at BIGINT NOT NULL
);

-- Receiving domains that asked a channel to slow down.
CREATE TABLE slow_domains (
  channel TEXT NOT NULL,
  domain TEXT NOT NULL,
  every BIGINT NOT NULL,
  before BIGINT NOT NULL,
  until BIGINT NOT NULL,
  since BIGINT NOT NULL,
  changed_at BIGINT NOT NULL,
  good BIGINT NOT NULL DEFAULT 0,
  reason TEXT NOT NULL,
  detail TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (channel, domain)
);

-- How many messages of a channel's warm-up plan have left on a day.
CREATE TABLE warmups (
  channel TEXT NOT NULL,
  day TEXT NOT NULL,
  taken BIGINT NOT NULL,
  PRIMARY KEY (channel, day)
);
