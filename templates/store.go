package templates

import "context"

// Store is all that templates asks of a database. Every method is one
// transaction. A template or revision that does not exist is a NotFound
// *rapport.Error (rapport.Unknown with the known names for a template).
type Store interface {
	// PutTemplate stores t, and r as its newest revision. A new name makes the
	// template with t.UID and revision 1; a known name keeps its ID, UID and
	// CreatedAt, and takes over Title and Topic. When the newest revision
	// already has r.Hash, no revision is made and changed is false. A known
	// name with another Driver is a Conflict. The IDs and Numbers of the
	// arguments are ignored; what is returned is what stands in the database.
	PutTemplate(ctx context.Context, t Template, r Revision) (Template, Revision, bool, error)
	// Template finds a template by its name or its UID.
	Template(ctx context.Context, ref string) (Template, error)
	// Templates lists at most limit templates whose names come after the given
	// one ("" for the first page), by name.
	Templates(ctx context.Context, after string, limit int) ([]Template, error)
	// Revision finds a revision by its ID, with content and links.
	Revision(ctx context.Context, id int64) (Revision, error)
	// Revisions lists at most limit revisions of a template whose numbers are
	// below the given one (0 for the first page), newest first, without Content.
	Revisions(ctx context.Context, template int64, before int, limit int) ([]Revision, error)
}
