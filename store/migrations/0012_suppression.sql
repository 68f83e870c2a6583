-- Suppression of whole domains, and of every address a person ever had.

-- reference names the file and line an imported suppression came from;
-- recorded_at is when it was written down (0: at the time it says).
ALTER TABLE suppressions ADD COLUMN reference TEXT NOT NULL DEFAULT '';
ALTER TABLE suppressions ADD COLUMN recorded_at BIGINT NOT NULL DEFAULT 0;

-- Domains nobody may write to. A domain is no person: it stands in plain
-- words. subdomains is 1 where everything below it is meant too; expires_at is
-- 0 where it has no end.
CREATE TABLE suppressed_domains (
  kind TEXT NOT NULL,
  domain TEXT NOT NULL,
  subdomains SMALLINT NOT NULL DEFAULT 0,
  reason TEXT NOT NULL,
  detail TEXT NOT NULL DEFAULT '',
  actor TEXT NOT NULL DEFAULT '',
  at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (kind, domain)
);
CREATE INDEX suppressed_domains_below ON suppressed_domains (kind) WHERE subdomains = 1;

-- Fingerprints of addresses a person had and has no more, so that an erasure
-- covers them. Triggers fill it, whichever way an address goes; it ends with
-- the person.
CREATE TABLE former_addresses (
  contact_id BIGINT NOT NULL,
  kind TEXT NOT NULL,
  hash TEXT NOT NULL,
  PRIMARY KEY (contact_id, kind, hash)
);
