package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"rapport"
	"rapport/contacts"
	"rapport/events"
	"rapport/store"
)

// Events examines what events asks of a store. open opens a fresh one.
func Events(t *testing.T, open func(t *testing.T) *store.Store) {
	for name, examine := range map[string]func(*testing.T, *House){
		"add":       examineAdd,
		"lines":     examineLines,
		"dry run":   examineEventsDry,
		"eight":     examineEight,
		"names":     examineEventNames,
		"list":      examineEventList,
		"segments":  examineEventSegments,
		"forgotten": examineEventsForgotten,
		"broken":    examineBroken,
		"erasure":   examineEventsBesideErasure,
	} {
		t.Run(name, func(t *testing.T) { examine(t, NewHouse(t, open(t))) })
	}
}

func (h *House) load(t testing.TB, o events.LoadOptions, lines ...string) events.Report {
	t.Helper()
	rep, err := h.Events.Load(t.Context(), strings.NewReader(strings.Join(lines, "\n")), o)
	if err != nil {
		t.Fatal(err)
	}
	if rep.Lines != rep.Added+rep.Known+rep.Errors {
		t.Errorf("the report does not add up: %+v", rep)
	}
	return rep
}

// happened makes lines of order.placed, one for each number of days ago.
func happened(who string, daysAgo ...int) []string {
	var out []string
	for i, d := range daysAgo {
		at := time.Now().Add(-time.Duration(d) * 24 * time.Hour).UTC().Format(time.RFC3339)
		out = append(out, fmt.Sprintf(`{"id": "%s-%d", "name": "order.placed", "contact": {"external_id": "%s"}, "at": "%s"}`, who, i, who, at))
	}
	return out
}

func examineAdd(t *testing.T, h *House) {
	h.Import(t, people, contacts.ImportOptions{})
	anna := h.get(t, "a1")
	at := time.Date(2026, 1, 2, 3, 4, 5, 6789, time.UTC)
	order := events.Entry{ID: "o-1", Name: "order.placed", Contact: events.Ref{ExternalID: "a1"}, At: at, Data: []byte(` {"total": 5900, "a": "<\u0000>"} `)}
	with := func(change func(e *events.Entry)) events.Entry {
		e := order
		change(&e)
		return e
	}
	for i, c := range []struct {
		e      events.Entry
		status events.Status
		reason string
	}{
		{order, events.Added, ""},
		{order, events.Known, ""},
		{with(func(e *events.Entry) { e.At = at.In(time.FixedZone("", 3600)) }), events.Known, ""},
		{with(func(e *events.Entry) { e.Data = []byte(`{"a":"<\u0000>","total":5900}`) }), events.Known, ""},
		{with(func(e *events.Entry) { e.Contact = events.Ref{ID: anna.UID} }), events.Known, ""},
		{with(func(e *events.Entry) { e.Contact = events.Ref{Kind: "email", Value: "ANNA@example.com"} }), events.Known, ""},
		{with(func(e *events.Entry) { e.Contact = events.Ref{ExternalID: "b2"} }), events.Refused, "known with another"},
		{with(func(e *events.Entry) { e.Name = "order.paid" }), events.Refused, "known with another"},
		{with(func(e *events.Entry) { e.At = at.Add(time.Microsecond) }), events.Refused, "known with another"},
		{with(func(e *events.Entry) { e.At = time.Time{} }), events.Refused, "known with another"},
		{with(func(e *events.Entry) { e.Data = []byte(`{"total": 5901}`) }), events.Refused, "known with another"},
		{with(func(e *events.Entry) { e.ID, e.Contact = "o-2", events.Ref{ExternalID: "zz"} }), events.Refused, `no contact with the external ID "zz"`},
		{with(func(e *events.Entry) { e.ID, e.Contact = "o-2", events.Ref{Kind: "email", Value: "no@example.com"} }), events.Refused, `no contact with the email "no@example.com"`},
		{with(func(e *events.Entry) { e.ID, e.Data = "o-3", nil }), events.Added, ""},
		{with(func(e *events.Entry) { e.ID, e.Data = "o-3", []byte("{}") }), events.Known, ""},
		{with(func(e *events.Entry) { e.ID, e.At = "o-4", time.Time{} }), events.Added, ""},
		{with(func(e *events.Entry) { e.ID, e.At = "o-4", time.Time{} }), events.Known, ""},
		{with(func(e *events.Entry) { e.ID, e.At = "o-5", time.Now().Add(time.Hour) }), events.Added, ""},
		{with(func(e *events.Entry) { e.ID, e.At = "o-6", time.Now().Add(25*time.Hour) }), events.Refused, "lies in the future"},
	} {
		out, err := h.Events.Add(t.Context(), []events.Entry{c.e})
		if err != nil || out[0].Status != c.status || !strings.Contains(out[0].Reason, c.reason) {
			t.Errorf("%d: %+v, %v", i, out, err)
		}
	}
	list, err := h.Events.List(t.Context(), events.Filter{Contact: anna.ID, Limit: 10})
	if err != nil || len(list) != 4 {
		t.Fatalf("%+v, %v", list, err)
	}
	oldest := list[3]
	if want := at.Truncate(time.Microsecond); oldest.ID != "o-3" && oldest.ID != "o-1" || !oldest.At.Equal(want) || oldest.Contact != anna.UID {
		t.Errorf("%+v", oldest)
	}
	i := slices.IndexFunc(list, func(e events.Event) bool { return e.ID == "o-1" })
	if got := string(list[i].Data); got != `{"a":"<\u0000>","total":5900}` {
		t.Errorf("data %s", got)
	}
	// One transaction: what is wrong with one says so, and the others are taken.
	out, err := h.Events.Add(t.Context(), []events.Entry{
		with(func(e *events.Entry) { e.ID = "m-1" }), with(func(e *events.Entry) { e.Name = "Order Placed" }),
		with(func(e *events.Entry) { e.ID = "m-1" }), with(func(e *events.Entry) { e.ID, e.Name = "m-1", "order.paid" }),
		with(func(e *events.Entry) { e.ID, e.Name = "m-2", "order.paid" }),
	})
	var got []events.Status
	for _, o := range out {
		got = append(got, o.Status)
	}
	if want := []events.Status{events.Added, events.Refused, events.Known, events.Refused, events.Added}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%+v, %v", out, err)
	}
	_, err = h.Events.Add(t.Context(), make([]events.Entry, events.MaxBatch+1))
	wantKind(t, err, rapport.Invalid)
}

func examineLines(t *testing.T, h *House) {
	h.Import(t, people, contacts.ImportOptions{})
	bad := map[string]string{
		`{"id": "1", "name": "a.b"}`:                                                                 "contact: is missing",
		`{"name": "a.b", "contact": {"external_id": "a1"}}`:                                          "id: is missing",
		`{"id": "1", "contact": {"external_id": "a1"}}`:                                              `name: "" is not a name`,
		`{"id": "1", "name": "A b", "contact": {"external_id": "a1"}}`:                               `name: "A b" is not a name`,
		`{"id": 1, "name": "a.b", "contact": {"external_id": "a1"}}`:                                 "id: is not a text",
		`{"id": "1", "name": "a.b", "contact": {"external_id": "a1"}, "Data": {}}`:                   `there is no field "Data"; known: id, name, contact, at, data`,
		`{"id": "1", "name": "a.b", "contact": {"external_id": "a1", "id": "x"}}`:                    "has 2 fields",
		`{"id": "1", "name": "a.b", "contact": {"fax": "1"}}`:                                        `no field "fax"; known: id, external_id, email, loft`,
		`{"id": "1", "name": "a.b", "contact": {"email": "nobody"}}`:                                 "contact.email: ",
		`{"id": "1", "name": "a.b", "contact": "a1"}`:                                                "contact: is not a JSON object",
		`{"id": "1", "name": "a.b", "contact": {"external_id": "a1"}, "at": "soon"}`:                 `at: "soon" is not a time`,
		`{"id": "1", "name": "a.b", "contact": {"external_id": "a1"}, "at": 1}`:                      "at: is not a text",
		`{"id": "1", "name": "a.b", "contact": {"external_id": "a1"}, "at": "1969-01-01T00:00:00Z"}`: "before 1970",
		`{"id": "1", "name": "a.b", "contact": {"external_id": "a1"}, "data": [1]}`:                  "data: is not a JSON object",
		`{"id": "1\u0000", "name": "a.b", "contact": {"external_id": "a1"}}`:                         "id: holds a character",
		`{"id": "1", "name": "a.b", "contact": {"external_id": "a\u0000"}}`:                          "contact.external_id: holds a character",
		`{"id": "1", "name": "a.b", "contact": {"external_id": "zz"}}`:                               "no contact with the external ID",
		`{"id": "1", "name": "a.b"`:                                                                  "the line is not JSON",
		"[1]":                                                                                        "the line is not a JSON object",
		"null":                                                                                       "the line is not a JSON object",
		"{\"id\": \"\xff\"}":                                                                         "not UTF-8",
		`{"id": "` + strings.Repeat("x", 201) + `", "name": "a", "contact": {"external_id": "a1"}}`:  "id: is longer than 200 octets",
		`{"id": "1", "data": "` + strings.Repeat("x", events.MaxLine) + `"}`:                         "the line is longer than 64 KiB",
	}
	lines := []string{"\xef\xbb\xbf" + happened("a1", 1)[0], "", "  "}
	var want []string
	for line, reason := range bad {
		want = append(want, fmt.Sprintf("%d %s", len(lines)+1, reason))
		lines = append(lines, line)
	}
	long := `{"id": "long", "name": "a.b", "contact": {"external_id": "b2"}, "data": {"x": "`
	lines = append(lines, long+strings.Repeat("x", events.MaxLine-len(long)-3)+`"}}`)
	var told []events.Line
	rep := h.load(t, events.LoadOptions{Refused: func(l events.Line) error { told = append(told, l); return nil }}, lines...)
	if rep.Added != 2 || rep.Errors != int64(len(bad)) || len(rep.Listed) != len(bad) || !slices.Equal(told, rep.Listed) {
		t.Errorf("%d added, %d errors, %d listed", rep.Added, rep.Errors, len(rep.Listed))
	}
	for i, l := range rep.Listed {
		line, reason, _ := strings.Cut(want[i], " ")
		if strconv.FormatInt(l.Line, 10) != line || !strings.Contains(l.Reason, reason) {
			t.Errorf("line %d: %s; want line %s", l.Line, l.Reason, want[i])
		}
	}
	stop := errors.New("no room")
	if _, err := h.Events.Load(t.Context(), strings.NewReader("x"), events.LoadOptions{Refused: func(events.Line) error { return stop }}); !errors.Is(err, stop) {
		t.Errorf("%v", err)
	}
}

// examineEventsDry: a dry run says what the real one does, and does nothing.
func examineEventsDry(t *testing.T, h *House) {
	h.Import(t, people, contacts.ImportOptions{})
	lines := append(happened("a1", 1, 2, 3), happened("b2", 4, 5)...)
	h.load(t, events.LoadOptions{}, lines[:2]...)
	lines = append(lines, lines[3], strings.Replace(lines[4], "order.placed", "order.paid", 1), happened("zz", 1)[0], lines[0])
	dry := h.load(t, events.LoadOptions{DryRun: true}, lines...)
	if n, err := h.Events.Names(t.Context()); err != nil || len(n) != 1 || n[0].Events != 2 {
		t.Fatalf("a dry run wrote %+v, %v", n, err)
	}
	wet := h.load(t, events.LoadOptions{}, lines...)
	dry.DryRun = false
	if fmt.Sprint(dry) != fmt.Sprint(wet) || wet.Added != 3 || wet.Known != 4 || wet.Errors != 2 {
		t.Errorf("dry %+v\nwet %+v", dry, wet)
	}
}

// examineEight: eight who add the same events at once, from both ends, add each
// once.
func examineEight(t *testing.T, h *House) {
	const n = 400
	var people, lines strings.Builder
	people.WriteString("external_id\n")
	for i := range n {
		fmt.Fprintf(&people, "p%d\n", i)
	}
	h.Import(t, people.String(), contacts.ImportOptions{})
	list := make([]events.Entry, n)
	for i := range list {
		list[i] = events.Entry{ID: fmt.Sprintf("o-%d", i), Name: fmt.Sprintf("order.%d", i%7), Contact: events.Ref{ExternalID: fmt.Sprintf("p%d", i)}, At: time.Unix(int64(i+1), 0)}
		fmt.Fprintf(&lines, `{"id": "o-%d", "name": "order.%d", "contact": {"external_id": "p%d"}, "at": "%s"}`+"\n", i, i%7, i, list[i].At.UTC().Format(time.RFC3339))
	}
	var mu sync.Mutex
	added := 0
	var all sync.WaitGroup
	for who := range 8 {
		all.Go(func() {
			count := 0
			var err error
			switch who % 4 {
			case 0:
				var rep events.Report
				rep, err = h.Events.Load(t.Context(), strings.NewReader(lines.String()), events.LoadOptions{})
				count = int(rep.Added)
				if rep.Added+rep.Known != n {
					t.Errorf("%+v", rep)
				}
			default:
				own := slices.Clone(list)
				if who%2 == 1 {
					slices.Reverse(own)
				}
				var out []events.Outcome
				for part := range slices.Chunk(own, 97) {
					var some []events.Outcome
					if some, err = h.Events.Add(t.Context(), part); err != nil {
						break
					}
					out = append(out, some...)
				}
				for _, o := range out {
					if o.Status == events.Added {
						count++
					} else if o.Status != events.Known {
						t.Errorf("%+v", o)
					}
				}
			}
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			added += count
			mu.Unlock()
		})
	}
	all.Wait()
	names, err := h.Events.Names(t.Context())
	total := int64(0)
	for _, x := range names {
		total += x.Events
	}
	if err != nil || added != n || total != n || len(names) != 7 {
		t.Errorf("%d were added and %d are there, %d names, %v; want %d", added, total, len(names), err, n)
	}
}

func examineEventNames(t *testing.T, h *House) {
	h.Import(t, people, contacts.ImportOptions{})
	_, err := h.Contacts.Check(t.Context(), `event("order.placed") > 0`)
	wantKind(t, err, rapport.Invalid)
	wantKind(t, h.Events.Declare(t.Context(), []string{"fine", "Not fine"}), rapport.Invalid)
	for range 2 {
		if err := h.Events.Declare(t.Context(), []string{"order.placed"}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := h.Contacts.Check(t.Context(), `event("order.placed") > 0`); err != nil {
		t.Fatal(err)
	}
	many := make([]string, events.MaxNames-2)
	for i := range many {
		many[i] = fmt.Sprintf("name.%d", i)
	}
	if err := h.Events.Declare(t.Context(), many); err != nil {
		t.Fatal(err)
	}
	wantKind(t, h.Events.Declare(t.Context(), []string{"one", "two"}), rapport.Conflict)
	lines := happened("a1", 1, 2, 3)
	lines[0] = strings.Replace(lines[0], "order.placed", "one", 1)
	lines[1] = strings.Replace(lines[1], "order.placed", "two", 1)
	rep := h.load(t, events.LoadOptions{}, lines...)
	if rep.Added != 2 || rep.Errors != 1 || rep.Listed[0].Line != 2 || !strings.Contains(rep.Listed[0].Reason, "more than the 1000") {
		t.Errorf("%+v", rep)
	}
}

func examineEventList(t *testing.T, h *House) {
	h.Import(t, people, contacts.ImportOptions{})
	lines := append(happened("a1", 5, 1, 3), happened("b2", 2, 4)...)
	for i := range lines {
		if i%2 == 1 {
			lines[i] = strings.Replace(lines[i], "order.placed", "order.paid", 1)
		}
	}
	h.load(t, events.LoadOptions{}, lines...)
	list := func(f events.Filter) string {
		t.Helper()
		f.Limit = 2
		var ids []string
		for {
			page, err := h.Events.List(t.Context(), f)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range page {
				ids = append(ids, e.ID)
			}
			if len(page) < 2 {
				return strings.Join(ids, " ")
			}
			f.Before = events.Place{At: page[1].At, Number: page[1].Number}
		}
	}
	for want, f := range map[string]events.Filter{
		"a1-1 b2-0 a1-2 b2-1 a1-0": {},
		"a1-1 a1-2 a1-0":           {Contact: h.get(t, "a1").ID},
		"a1-2 b2-1 a1-0":           {Name: "order.placed"},
		"a1-1 b2-0":                {Name: "order.paid", Since: time.Now().Add(-100 * time.Hour)},
		"":                         {Contact: h.get(t, "c3").ID},
	} {
		if got := list(f); got != want {
			t.Errorf("%+v lists %q, want %q", f, got, want)
		}
	}
	_, err := h.Events.List(t.Context(), events.Filter{Name: "order.payd", Limit: 1})
	wantKind(t, err, rapport.NotFound)
	own, err := h.Store.EventsOf(t.Context(), h.get(t, "b2").ID, 0, 10)
	if err != nil || len(own) != 2 || own[0].ID != "b2-0" {
		t.Errorf("%+v, %v", own, err)
	}
}

// examineBroken: a loading that was stopped goes on when it is given the same
// stream again.
func examineBroken(t *testing.T, h *House) {
	h.Import(t, people, contacts.ImportOptions{})
	var b strings.Builder
	const n = 3000
	for i := range n {
		fmt.Fprintf(&b, `{"id": "o-%d", "name": "order.placed", "contact": {"external_id": "a1"}}`+"\n", i)
	}
	ctx, cancel := context.WithCancel(t.Context())
	first, err := h.Events.Load(ctx, strings.NewReader(b.String()), events.LoadOptions{Progress: func(p events.Progress) {
		if p.Lines >= 1000 {
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) || first.Added == 0 || first.Added == n {
		t.Fatalf("%+v, %v", first, err)
	}
	again := h.load(t, events.LoadOptions{}, b.String())
	if again.Known != first.Added || again.Known+again.Added != n {
		t.Errorf("first %+v, again %+v", first, again)
	}
}
