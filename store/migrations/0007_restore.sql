-- Deliveries that may have brought a process down while they were written: how
-- often. Zero for nearly all.
ALTER TABLE deliveries ADD COLUMN crashes BIGINT NOT NULL DEFAULT 0;

-- Which database this is, and how far it has come. It is one row, made by the
-- first process that sends. departed counts messages that have left, ever; the
-- same number is remembered outside, so that an older copy of the database is
-- known for one.
CREATE TABLE installation (
  one BIGINT PRIMARY KEY CHECK (one = 1),
  uid TEXT NOT NULL,
  departed BIGINT NOT NULL DEFAULT 0,
  departed_at BIGINT NOT NULL DEFAULT 0,
  -- Since when nothing leaves because more has left than this database knows;
  -- null: all is well. What was remembered outside, and which numbers were used.
  held_at BIGINT,
  ahead BIGINT NOT NULL DEFAULT 0,
  ahead_at BIGINT NOT NULL DEFAULT 0,
  ahead_run BIGINT NOT NULL DEFAULT 0,
  ahead_contact BIGINT NOT NULL DEFAULT 0,
  why TEXT NOT NULL DEFAULT '',
  -- Numbers of runs begin above this one: lower ones may stand in messages that
  -- an older copy knows nothing of.
  run_floor BIGINT NOT NULL DEFAULT 0
);
