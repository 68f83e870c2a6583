package store

import (
	"encoding/json"
	"testing"
	"time"

	"rapport/access"
)

func TestAuditIsAppendOnly(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		for i, action := range []string{"contacts.show", "contacts.export", "contactsx.show", "deliveries.list"} {
			line := access.Line{At: start.Add(time.Duration(i) * time.Minute), Actor: "cli:anna", Action: action, Contact: int64(i % 2), Object: "x"}
			if i == 1 {
				line.Detail = json.RawMessage(`{"n":3}`)
			}
			if err := s.AppendAct(t.Context(), line); err != nil {
				t.Fatal(err)
			}
		}
		ids := func(f access.Filter) (out []int64) {
			t.Helper()
			f.Limit = max(f.Limit, 1)
			if f.Limit == 1 {
				f.Limit = 10
			}
			list, err := s.Acts(t.Context(), f)
			if err != nil {
				t.Fatal(err)
			}
			for _, l := range list {
				out = append(out, l.ID)
			}
			return out
		}
		for _, c := range []struct {
			name string
			f    access.Filter
			want []int64
		}{
			{"all", access.Filter{}, []int64{4, 3, 2, 1}},
			{"before", access.Filter{Before: 3}, []int64{2, 1}},
			{"page", access.Filter{Limit: 2}, []int64{4, 3}},
			{"contact", access.Filter{Contact: 1}, []int64{4, 2}},
			{"room", access.Filter{Action: "contacts"}, []int64{2, 1}},
			{"action", access.Filter{Action: "contacts.show"}, []int64{1}},
			{"since", access.Filter{Since: start.Add(2 * time.Minute)}, []int64{4, 3}},
		} {
			if got := ids(c.f); len(got) != len(c.want) || len(got) > 0 && (got[0] != c.want[0] || got[len(got)-1] != c.want[len(c.want)-1]) {
				t.Errorf("%s: %v, want %v", c.name, got, c.want)
			}
		}
		list, err := s.Acts(t.Context(), access.Filter{Action: "contacts.export", Limit: 1})
		if err != nil || len(list) != 1 || string(list[0].Detail) != `{"n":3}` || list[0].Actor != "cli:anna" || !list[0].At.Equal(start.Add(time.Minute)) {
			t.Errorf("%+v, %v", list, err)
		}
		for _, statement := range []string{
			"UPDATE audit SET actor = 'nobody'", "DELETE FROM audit", "DELETE FROM audit WHERE id = 1", "UPDATE audit SET at = 0 WHERE id = 2",
		} {
			err := s.update(t.Context(), durable, func(x tx) error {
				_, err := x.tx.ExecContext(t.Context(), statement)
				return err
			})
			if err == nil {
				t.Errorf("%s was let through", statement)
			}
		}
		if got := ids(access.Filter{}); len(got) != 4 {
			t.Errorf("%d lines are left", len(got))
		}
	})
}
