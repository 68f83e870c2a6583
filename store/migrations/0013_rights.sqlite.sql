CREATE TRIGGER audit_fixed BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;

CREATE TRIGGER audit_kept BEFORE DELETE ON audit
WHEN OLD.at >= CAST((SELECT value FROM meta WHERE key = 'audit') AS BIGINT)
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
