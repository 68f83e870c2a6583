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
