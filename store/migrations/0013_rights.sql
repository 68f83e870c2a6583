-- Who looked at and changed personal data; what people may ask for.

-- Lines are added, and removed by age only: older than meta 'audit' says, which
-- the retention rule writes down before.
CREATE TABLE audit (
  id {{id}},
  at BIGINT NOT NULL,
  actor TEXT NOT NULL,
  action TEXT NOT NULL,
  object TEXT NOT NULL DEFAULT '',
  contact_id BIGINT NOT NULL DEFAULT 0,
  detail TEXT NOT NULL DEFAULT '{}'
);
CREATE INDEX audit_contact ON audit (contact_id, id) WHERE contact_id > 0;
CREATE INDEX audit_action ON audit (action, id);

INSERT INTO meta (key, value) VALUES ('audit', '0');

-- restricted_at: the person is kept and nothing else (GDPR article 18).
-- objected_at: the person wants no direct marketing and no profile for it, of
-- whatever topic and channel, also of those that come later (article 21). Null
-- for nearly everybody; both stand on the row that planning and the gate read.
ALTER TABLE contacts ADD COLUMN restricted_at BIGINT;
ALTER TABLE contacts ADD COLUMN objected_at BIGINT;

CREATE INDEX contacts_restricted ON contacts (id) WHERE restricted_at IS NOT NULL;
CREATE INDEX contacts_objected ON contacts (id) WHERE objected_at IS NOT NULL;

CREATE TABLE restrictions (
  contact_id BIGINT PRIMARY KEY REFERENCES contacts (id) ON DELETE CASCADE,
  reason TEXT NOT NULL,
  actor TEXT NOT NULL,
  at BIGINT NOT NULL
);

-- What retention took away stays in the accounts: deliveries that are gone, by
-- their batch, last state and reason.
CREATE TABLE pruned_deliveries (
  batch_id BIGINT NOT NULL REFERENCES batches (id),
  run_id BIGINT NOT NULL REFERENCES runs (id),
  state TEXT NOT NULL,
  reason TEXT NOT NULL,
  n BIGINT NOT NULL,
  tracked BIGINT NOT NULL, -- of them those whose links led to their person
  PRIMARY KEY (batch_id, state, reason)
);
CREATE INDEX pruned_deliveries_run ON pruned_deliveries (run_id);

-- Runs whose responses up to a number are counts only. What of them is still
-- there is being removed and counts no more.
CREATE TABLE folded_responses (
  run_id BIGINT PRIMARY KEY REFERENCES runs (id),
  up_to BIGINT NOT NULL,
  at BIGINT NOT NULL
);

-- view 'hits': by kind, link and machine, how many and of how many people.
-- view 'people': by kind, people with at least one hit of their own (machine 0)
-- or of machines only. view 'links': the same for each link that was clicked.
-- view 'named': by kind, hits of people that name nobody, and people who are named.
CREATE TABLE response_counts (
  run_id BIGINT NOT NULL REFERENCES runs (id),
  view TEXT NOT NULL CHECK (view IN ('hits', 'people', 'links', 'named')),
  kind TEXT NOT NULL,
  link BIGINT NOT NULL,
  machine SMALLINT NOT NULL,
  n BIGINT NOT NULL,
  people BIGINT NOT NULL,
  PRIMARY KEY (run_id, view, kind, link, machine)
);
