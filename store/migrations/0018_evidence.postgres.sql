-- Evidence is written once and goes with an erasure; it is never changed.

CREATE FUNCTION evidence_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'evidence is append-only: it is written once or deleted';
END
$$;

CREATE TRIGGER consent_evidence_fixed BEFORE UPDATE ON consent_evidence
  FOR EACH ROW EXECUTE FUNCTION evidence_append_only();
