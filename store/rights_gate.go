package store

// Whoever is restricted gets nothing but what the law demands and what they
// asked for themselves: letters that rest on a legal duty, and the confirmation
// of a request of theirs. It is asked of the contact's row (c), which planning
// and the gate read in any case; the ledger (entry k) only if it says so.
const (
	restricted = `c.restricted_at IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM consent_entries l JOIN topics lt ON lt.id = l.topic_id
    WHERE l.id = k.entry_id AND (l.basis = 'legal_duty' OR lt.name = 'confirmations'))`

	// Segments do not show them; planning does, and says why they get nothing.
	unrestricted = `c.restricted_at IS NULL AND `

	restrictedOr = `CASE WHEN ` + restricted + ` THEN 'restricted' ELSE `
)
