-- Evidence is written once and goes with an erasure; it is never changed, and
-- not replaced by a row of the same number either.

CREATE TRIGGER consent_evidence_fixed BEFORE UPDATE ON consent_evidence
BEGIN SELECT RAISE(ABORT, 'evidence is append-only: it is written once or deleted'); END;

CREATE TRIGGER consent_evidence_added BEFORE INSERT ON consent_evidence
WHEN EXISTS (SELECT 1 FROM consent_evidence x WHERE x.entry_id = NEW.entry_id)
BEGIN SELECT RAISE(ABORT, 'evidence is append-only: it is written once or deleted'); END;
