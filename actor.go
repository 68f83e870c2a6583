package rapport

import "context"

// Actor is who is acting: it stands in ledger entries, revisions and audit
// lines. It is the only value the house puts in a context.
type Actor struct {
	// Name is how people know the actor: "cli:anna", "campaign:autumn",
	// "link:unsubscribe".
	Name string
}

type actorKey struct{}

// WithActor returns a context that acts as a.
func WithActor(ctx context.Context, a Actor) context.Context {
	return context.WithValue(ctx, actorKey{}, a)
}

// ActorOf returns who is acting; "system" when nobody said.
func ActorOf(ctx context.Context) Actor {
	if a, ok := ctx.Value(actorKey{}).(Actor); ok {
		return a
	}
	return Actor{Name: "system"}
}
