package contacts

import "context"

// Fresh is the row of a person as Put would make it, for rooms that add
// somebody in a transaction of their own.
func (s *Service) Fresh(ctx context.Context, in Input) (Row, error) { return s.inputRow(ctx, in) }
