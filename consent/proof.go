package consent

import (
	"context"
	"fmt"
	"time"
)

// Subject is the person of a proof, as whoever asks knows them.
type Subject struct {
	Number    int64    `json:"-"`
	ID        string   `json:"id"`
	Name      string   `json:"name,omitempty"`
	Addresses []string `json:"addresses"`
}

// ProofSheet is everything that proves the consent of one person: each
// declaration with the exact wording, and its place in the chain.
type ProofSheet struct {
	Subject      Subject       `json:"contact"`
	Controller   string        `json:"controller,omitempty"` // of today; each declaration names its own
	MadeAt       time.Time     `json:"made_at"`
	MadeBy       string        `json:"made_by"`
	Standing     []Current     `json:"standing"`
	Declarations []Declaration `json:"declarations"`
	Head         Seal          `json:"head"` // the last seal of the ledger
}

// Declaration is one entry with all that proves it.
type Declaration struct {
	Proof
	// Matches says that line and evidence are what was committed to; without
	// evidence there is nothing to compare.
	Matches bool `json:"evidence_matches"`
	// Text is the exact wording that was shown, if one is stored.
	Text *WordingText `json:"wording_text,omitempty"`
	// TextMatches says that the stored text has the hash the entry refers to.
	TextMatches bool `json:"wording_matches"`
	// Seal is the one that covers the entry; nil: it is younger than the last.
	Seal *Seal `json:"seal,omitempty"`
	// Asked is the request that a confirmation answers; 0: none.
	Asked int64 `json:"request_entry,omitempty"`
}

// Prove gathers the proof of one person. It compares every line with its
// evidence and every wording with its hash; that the chain as a whole is as it
// was written is what Verify says.
func (s *Service) Prove(ctx context.Context, who Subject, by string) (ProofSheet, error) {
	sheet := ProofSheet{Subject: who, MadeAt: s.now().UTC().Truncate(time.Second), MadeBy: by}
	records, err := s.store.History(ctx, who.Number)
	if err != nil {
		return sheet, fmt.Errorf("read the ledger: %w", err)
	}
	sheet.Standing = live(Standing(records), sheet.MadeAt)
	if sheet.Head, _, err = s.seals.Horizon(ctx); err != nil {
		return sheet, fmt.Errorf("read the head of the ledger: %w", err)
	}
	texts := map[string][]WordingText{}
	var seal *Seal
	asked := map[[2]string]int64{}
	for _, r := range records {
		d := Declaration{Proof: r.proof(), Matches: r.Salt != "" && Commit(r) == r.Commitment}
		slot := [2]string{r.Driver, r.Topic}
		switch r.State {
		case Requested:
			asked[slot] = r.ID
		case Confirmed:
			d.Asked = asked[slot]
			delete(asked, slot)
		default:
			delete(asked, slot)
		}
		if d.Evidence != nil && d.Evidence.Notice != nil {
			if d.Text, err = s.shown(ctx, *d.Evidence.Notice, texts); err != nil {
				return sheet, err
			}
			d.TextMatches = d.Text != nil && TextHash(d.Text.Text) == d.Evidence.Notice.Hash
		}
		if seal == nil || seal.UpTo < r.ID {
			if seal, err = s.sealOf(ctx, r.ID); err != nil {
				return sheet, err
			}
		}
		if seal != nil {
			d.Seal = seal
		}
		sheet.Declarations = append(sheet.Declarations, d)
	}
	return sheet, nil
}

// shown finds the text that an entry refers to; nil when it is not stored.
func (s *Service) shown(ctx context.Context, ref NoticeRef, texts map[string][]WordingText) (*WordingText, error) {
	list, known := texts[ref.Name]
	if !known {
		var err error
		if list, err = s.wordings.WordingsNamed(ctx, ref.Name); err != nil {
			return nil, fmt.Errorf("read wording %s: %w", ref.Name, err)
		}
		texts[ref.Name] = list
	}
	for i := range list {
		if list[i].Version == ref.Version && list[i].Locale == ref.Locale {
			return &list[i], nil
		}
	}
	return nil, nil
}

// sealOf finds the seal that covers a line.
func (s *Service) sealOf(ctx context.Context, line int64) (*Seal, error) {
	page, err := s.seals.Seals(ctx, line-1, 1)
	if err != nil {
		return nil, fmt.Errorf("read seals: %w", err)
	}
	if len(page) == 0 {
		return nil, nil
	}
	return &page[0], nil
}
