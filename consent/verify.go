package consent

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// sealLines bounds how many lines one seal covers, so that a broken one points
// at a small place, and peoplePage how many people are compared at once.
const (
	sealLines  = 2000
	peoplePage = 500
)

// Seal seals what is new in the ledger and returns how many lines that were.
// It may run in any number of processes at once: whoever comes second finds
// the work done. Lines that are just being written wait for the next time.
func (s *Service) Seal(ctx context.Context) (int, error) {
	last, horizon, err := s.seals.Horizon(ctx)
	if err != nil {
		return 0, fmt.Errorf("seal the ledger: %w", err)
	}
	n := 0
	for last.UpTo < horizon {
		records, err := s.store.Ledger(ctx, last.UpTo, horizon, sealLines)
		if err != nil {
			return n, fmt.Errorf("read the ledger: %w", err)
		}
		if len(records) == 0 {
			return n, nil
		}
		next := Chain(last, lines(records), s.now().UTC().Truncate(time.Microsecond))
		mine, err := s.seals.AddSeal(ctx, last, next)
		if err != nil {
			return n, fmt.Errorf("add a seal: %w", err)
		}
		if !mine {
			return n, nil
		}
		last = next
		n += len(records)
	}
	return n, nil
}

func lines(records []Record) []Line {
	out := make([]Line, len(records))
	for i, r := range records {
		out[i] = r.Line
	}
	return out
}

// Report says what Verify found.
type Report struct {
	Entries  int    `json:"entries"`  // lines looked at
	Seals    int    `json:"seals"`    // seals recomputed
	Unsealed int    `json:"unsealed"` // lines younger than the last seal
	Erased   int    `json:"erased"`   // lines whose evidence was erased
	Answers  int    `json:"answers"`  // current answers compared with the ledger
	Wordings int    `json:"wordings"` // stored texts looked at
	Head     string `json:"head"`     // hash of the last seal: note it elsewhere to see a ledger cut short
	Bad      *Bad   `json:"bad"`      // the first thing that is not right; null: all is well
}

// Bad names the first row that is not as it was written.
type Bad struct {
	Table  string `json:"table"`         // where it stands
	Row    string `json:"row,omitempty"` // which one, where it is no line of the ledger
	Entry  int64  `json:"entry"`         // the line, or the last line of the seal that does not match
	After  int64  `json:"after"`         // the fault lies after this line
	Reason string `json:"reason"`
}

// The tables a fault may stand in.
const (
	inLines    = "consent_entries"
	inEvidence = "consent_evidence"
	inSeals    = "ledger_seals"
	inAnswers  = "consents"
	inWordings = "wordings"
)

// Verify recomputes the chain of wordings, every seal and every commitment,
// looks every wording up that an entry refers to, and derives every current
// answer anew. It reads page by page and ends at the first thing that is not
// right. progress, if not nil, hears how many lines are done. The error is
// about reading; what is wrong with the ledger is in the report.
func (s *Service) Verify(ctx context.Context, progress func(entries int)) (Report, error) {
	return s.VerifyNoted(ctx, "", progress)
}

// VerifyNoted is Verify against a head that was noted earlier, outside of the
// database: a ledger that was written anew as a whole does not hold it.
func (s *Service) VerifyNoted(ctx context.Context, noted string, progress func(entries int)) (Report, error) {
	if progress == nil {
		progress = func(int) {}
	}
	v := verification{Service: s, noted: noted, progress: progress}
	err := v.run(ctx)
	return v.rep, err
}

// verification is one pass over everything.
type verification struct {
	*Service
	rep      Report
	noted    string // a head to be found; empty: none
	notices  map[NoticeRef]bool
	progress func(entries int)
}

func (s *verification) run(ctx context.Context) (err error) {
	rep := &s.rep
	if s.notices, err = s.verifyWordings(ctx, rep); err != nil || rep.Bad != nil {
		return err
	}
	last, err := s.verifySeals(ctx, rep)
	if err != nil || rep.Bad != nil {
		return err
	}
	if err := s.verifyTail(ctx, rep, last); err != nil || rep.Bad != nil {
		return err
	}
	return s.verifyAnswers(ctx, rep)
}

func (s *verification) verifySeals(ctx context.Context, rep *Report) (Seal, error) {
	var before Seal
	for {
		page, err := s.seals.Seals(ctx, before.UpTo, 100)
		if err != nil {
			return before, fmt.Errorf("read seals: %w", err)
		}
		for _, seal := range page {
			records, err := s.sealed(ctx, before.UpTo, seal.UpTo)
			if err != nil {
				return before, err
			}
			got := Chain(before, lines(records), seal.At)
			sealed := got.Hash == seal.Hash && got.UpTo == seal.UpTo
			if s.verifyRecords(rep, before.UpTo, records); rep.Bad != nil {
				if sealed && rep.Bad.Table == inLines {
					rep.Bad.Table, rep.Bad.Reason = inEvidence, "the line is as it was sealed, and its evidence is not what was written"
				}
				return before, nil
			}
			if !sealed {
				rep.Bad = &Bad{Table: inSeals, Entry: seal.UpTo, After: before.UpTo, Reason: fmt.Sprintf("a line after %d and up to %d was changed, added or removed, or the seal itself was", before.UpTo, seal.UpTo)}
				return before, nil
			}
			rep.Seals++
			rep.Head = seal.Hash
			if seal.Hash == s.noted {
				s.noted = ""
			}
			before = seal
			s.progress(rep.Entries)
		}
		if len(page) == 0 {
			return before, s.verifyHead(ctx, rep, before)
		}
	}
}

// sealed reads the lines of one seal; a seal that covers far more lines than
// one may is broken, and is read no further.
func (s *Service) sealed(ctx context.Context, after, upTo int64) ([]Record, error) {
	records, err := s.store.Ledger(ctx, after, upTo, sealLines+1)
	if err != nil {
		return nil, fmt.Errorf("read the ledger: %w", err)
	}
	return records, nil
}

// verifyHead compares the last seal with what the database noted beside the
// chain, so that cutting off its end is seen.
func (s *verification) verifyHead(ctx context.Context, rep *Report, last Seal) error {
	_, _, err := s.seals.Horizon(ctx)
	if errors.Is(err, ErrCut) {
		rep.Bad = &Bad{Table: inSeals, Entry: last.UpTo, After: last.UpTo, Reason: ErrCut.Error()}
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the head of the ledger: %w", err)
	}
	if s.noted != "" {
		rep.Bad = &Bad{Table: inSeals, Entry: last.UpTo, Reason: "no seal has the hash that was noted earlier (" + s.noted + "): the ledger was written anew, or is another one"}
	}
	return nil
}

// ErrCut says that the chain of seals ends earlier than it did.
var ErrCut = errors.New("the chain of seals was cut: seals that were written are missing")

func (s *verification) verifyTail(ctx context.Context, rep *Report, last Seal) error {
	after := last.UpTo
	for {
		records, err := s.store.Ledger(ctx, after, 0, sealLines)
		if err != nil {
			return fmt.Errorf("read the ledger: %w", err)
		}
		if len(records) == 0 {
			return nil
		}
		if s.verifyRecords(rep, after, records); rep.Bad != nil {
			return nil
		}
		rep.Unsealed += len(records)
		after = records[len(records)-1].ID
		s.progress(rep.Entries)
	}
}

// verifyRecords checks each line against its evidence, and that against the
// wording it refers to.
func (s *verification) verifyRecords(rep *Report, after int64, records []Record) {
	for _, r := range records {
		switch {
		case r.Salt == "" && r.Evidence == "":
			rep.Erased++
		case Commit(r) != r.Commitment:
			rep.Bad = &Bad{Table: inLines, Entry: r.ID, After: after, Reason: "the line or its evidence is not what was written"}
			return
		case !s.knowsNotice(r):
			rep.Bad = &Bad{Table: inWordings, Entry: r.ID, After: after, Reason: "the entry refers to a wording that is not stored, or to another text"}
			return
		}
		rep.Entries++
		after = r.ID
	}
}

// knowsNotice says whether the text that a record refers to is stored. Most
// records refer to none, and are not taken apart for it.
func (s *verification) knowsNotice(r Record) bool {
	if !strings.Contains(r.Evidence, `"notice":`) {
		return true
	}
	var ev struct {
		Notice *NoticeRef `json:"notice"`
	}
	return json.Unmarshal([]byte(r.Evidence), &ev) == nil && (ev.Notice == nil || s.notices[*ev.Notice])
}

// verifyAnswers derives the answers of everybody from the ledger.
func (s *verification) verifyAnswers(ctx context.Context, rep *Report) error {
	return s.everybody(ctx, func(contact int64, records []Record, standing []Current) error {
		derived := Standing(records)
		rep.Answers += len(standing)
		if len(records) > 0 && records[0].ID <= 0 && rep.Bad == nil {
			rep.Bad = &Bad{Table: inLines, Entry: records[0].ID, Reason: "lines are numbered from 1 on; this one stands before the first and under no seal"}
		}
		if missing := lostEvidence(records); missing != 0 && rep.Bad == nil {
			rep.Bad = &Bad{Table: inEvidence, Entry: missing, After: missing - 1, Reason: "its evidence is missing though nobody erased the person"}
		}
		if !same(derived, standing) && rep.Bad == nil {
			line := int64(0)
			if len(records) > 0 {
				line = records[len(records)-1].ID
			}
			rep.Bad = &Bad{Table: inAnswers, Row: fmt.Sprintf("contact number %d", contact), Entry: line, After: line, Reason: fmt.Sprintf("the current answers of contact number %d are not those of the ledger; rapport consent rebuild makes them so", contact)}
		}
		if rep.Bad != nil {
			return errEnough
		}
		return nil
	})
}

// lostEvidence finds a line without evidence that no later line about the same
// driver and topic says to be erased: an erasure speaks about each of them.
func lostEvidence(records []Record) int64 {
	type slot struct {
		driver string
		topic  int64
	}
	var erased map[slot]int64
	for _, r := range records {
		if r.State == Erased {
			if erased == nil {
				erased = map[slot]int64{}
			}
			erased[slot{r.Driver, r.TopicID}] = r.ID
		}
	}
	for _, r := range records {
		if r.Salt == "" && erased[slot{r.Driver, r.TopicID}] < r.ID {
			return r.ID
		}
	}
	return 0
}

var errEnough = errors.New("enough")

// Standing derives the current answers of one contact from its lines: Fold
// without those that are None.
func Standing(records []Record) []Current {
	return slices.DeleteFunc(Fold(records), func(c Current) bool { return c.Answer == None })
}

func same(a, b []Current) bool {
	order := func(x, y Current) int {
		return cmp.Or(strings.Compare(x.Driver, y.Driver), strings.Compare(x.Topic, y.Topic))
	}
	slices.SortFunc(a, order)
	slices.SortFunc(b, order)
	return slices.EqualFunc(a, b, func(x, y Current) bool {
		return x.Driver == y.Driver && x.Topic == y.Topic && x.Answer == y.Answer && x.Address == y.Address && x.Entry == y.Entry && x.At.Equal(y.At) && x.Expires.Equal(y.Expires)
	})
}

// everybody calls do for each contact that the ledger or an answer names.
func (s *Service) everybody(ctx context.Context, do func(int64, []Record, []Current) error) error {
	after := int64(math.MinInt64) // also numbers that nobody was given
	for {
		records, standing, last, err := s.store.Answers(ctx, after, peoplePage)
		if err != nil {
			return fmt.Errorf("read answers: %w", err)
		}
		if len(records) == 0 && len(standing) == 0 {
			return nil
		}
		for _, p := range people(records, standing) {
			err := do(p.contact, p.records, p.standing)
			if errors.Is(err, errEnough) {
				return nil
			}
			if err != nil {
				return err
			}
		}
		after = last
	}
}

type person struct {
	contact  int64
	records  []Record
	standing []Current
}

// people groups lines and answers, both in the order of contacts.
func people(records []Record, standing []Current) []person {
	by := map[int64]*person{}
	var order []int64
	get := func(contact int64) *person {
		p := by[contact]
		if p == nil {
			p = &person{contact: contact}
			by[contact] = p
			order = append(order, contact)
		}
		return p
	}
	for _, r := range records {
		p := get(r.Contact)
		p.records = append(p.records, r)
	}
	for _, c := range standing {
		p := get(c.Contact)
		p.standing = append(p.standing, c)
	}
	slices.Sort(order)
	out := make([]person, len(order))
	for i, c := range order {
		out[i] = *by[c]
	}
	return out
}

// Rebuild makes the current answers what the ledger derives, and returns for
// how many people they were not.
func (s *Service) Rebuild(ctx context.Context) (int, error) {
	n := 0
	err := s.everybody(ctx, func(contact int64, records []Record, standing []Current) error {
		if same(Standing(records), standing) {
			return nil
		}
		n++
		return s.store.Rebuild(ctx, contact)
	})
	if err != nil {
		return n, fmt.Errorf("rebuild current answers: %w", err)
	}
	return n, nil
}
