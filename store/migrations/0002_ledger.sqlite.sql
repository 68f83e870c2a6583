-- The ledger is append-only also against our own code.

CREATE TRIGGER consent_entries_kept BEFORE DELETE ON consent_entries
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;

CREATE TRIGGER consent_entries_fixed BEFORE UPDATE ON consent_entries
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;

CREATE TRIGGER ledger_seals_kept BEFORE DELETE ON ledger_seals
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;

CREATE TRIGGER ledger_seals_fixed BEFORE UPDATE ON ledger_seals
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
