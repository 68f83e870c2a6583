CREATE TRIGGER wordings_kept BEFORE DELETE ON wordings
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;

CREATE TRIGGER wordings_fixed BEFORE UPDATE ON wordings
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
