-- SQLite replaces a row of the same number without asking the triggers on
-- DELETE: what is append-only is not replaced either.

CREATE TRIGGER audit_added BEFORE INSERT ON audit
WHEN EXISTS (SELECT 1 FROM audit x WHERE x.id = NEW.id)
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;

CREATE TRIGGER consent_entries_added BEFORE INSERT ON consent_entries
WHEN EXISTS (SELECT 1 FROM consent_entries x WHERE x.id = NEW.id)
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;

CREATE TRIGGER ledger_seals_added BEFORE INSERT ON ledger_seals
WHEN EXISTS (SELECT 1 FROM ledger_seals x WHERE x.up_to = NEW.up_to)
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;

CREATE TRIGGER wordings_added BEFORE INSERT ON wordings
WHEN EXISTS (SELECT 1 FROM wordings x WHERE x.id = NEW.id OR x.name = NEW.name AND x.version = NEW.version AND x.locale = NEW.locale)
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
