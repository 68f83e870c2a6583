-- Whether the links of a letter lead to its person: null when they do not, 0 on
-- a ground that is stated for everybody, else the line of the ledger that
-- permits it.
ALTER TABLE deliveries ADD COLUMN tracked BIGINT;

-- Who has said no to something is found without looking at everybody.
CREATE INDEX consents_no ON consents (topic_id, driver, contact_id) WHERE state = 'withdrawn';
