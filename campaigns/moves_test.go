package campaigns

import (
	"testing"

	"rapport"
	"rapport/outbox"
)

// TestMovesLeadSomewhereSensible holds what every move must keep: a run that
// is over stays over, a cancel is final, a pause can be taken back to where it
// came from, and no action leads back into a draft that has an open run.
func TestMovesLeadSomewhereSensible(t *testing.T) {
	for action, table := range moves {
		for from, to := range table {
			if from.Run.Over() || (from.Run == "") != (to.Run == "") || from.Planned != to.Planned {
				t.Errorf("%s from %+v leads to %+v", action, from, to)
			}
			if from.Campaign == Cancelled || from.Campaign == Finished || from.Campaign == Draft {
				t.Errorf("%s is possible from %s", action, from.Campaign)
			}
			if to.Campaign == Draft && to.Run != "" {
				t.Errorf("%s makes a draft with an open run of %+v", action, from)
			}
			if action == Cancel && (to.Campaign != Cancelled || to.Run != "" && to.Run != outbox.Cancelling) {
				t.Errorf("cancel of %+v leads to %+v", from, to)
			}
			if action == Pause {
				if back, ok := moves[Resume][to]; !ok || back != from {
					t.Errorf("pause of %+v is taken back to %+v", from, back)
				}
			}
		}
	}
	if _, err := Resume.After("spring", Standing{Finished, "", false}); rapport.KindOf(err) != rapport.Conflict {
		t.Errorf("resume of a finished campaign: %v", err)
	}
}
