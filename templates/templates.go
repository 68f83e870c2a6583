package templates

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"rapport/channels"
)

// Template is content for one driver, known by its name. What it says is in
// its revisions.
type Template struct {
	ID        int64     // number inside the house; 0 before it is stored
	UID       string    // public ID, a UUIDv7
	Name      string    // unique, see rapport.CheckName
	Driver    string    // never changes
	Title     string    // what people see; empty: the name
	Topic     string    // the topic it is meant for, as a hint; may be empty
	Revision  int64     // ID of the newest revision
	Number    int       // number of the newest revision, from 1
	CreatedAt time.Time // when the first revision came
	UpdatedAt time.Time // when the newest revision came
}

// Revision is what a template said at one moment. It never changes; a delivery
// remembers the ID of the revision it was rendered from.
type Revision struct {
	ID        int64
	Template  int64     // Template.ID
	Number    int       // 1, 2, 3 … within the template
	Content   Content   // what was written; stored as one JSON value
	Links     []string  // tracked targets: link number n of a message is Links[n]; stored as one JSON array
	Hash      string    // of Content, see Content.Hash; unchanged content makes no new revision
	CreatedAt time.Time // UTC, microseconds
	Actor     string    // who put it
}

// Content is all that a writer wrote, in every locale.
type Content struct {
	Locale  string                       `json:"locale"`            // the fallback
	Sources map[string]map[string]string `json:"sources"`           // locale → part → Liquid source
	Files   map[string][]channels.File   `json:"files,omitempty"`   // locale → attachments and inline images
	Samples []Sample                     `json:"samples,omitempty"` // people for previews
}

// Sample is an invented person to preview a template with.
type Sample struct {
	Name    string         `json:"name"`
	Locale  string         `json:"locale,omitempty"`
	Contact map[string]any `json:"contact,omitempty"` // attributes and addresses
	Data    map[string]any `json:"data,omitempty"`
}

// Hash identifies the content: equal content, equal hash (SHA-256, hex).
func (c Content) Hash() (string, error) {
	b, err := json.Marshal(c) // maps are written in the order of their keys
	if err != nil {
		return "", fmt.Errorf("hash template content: %w", err)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:]), nil
}

// Link returns the target of link number n, as the click handler needs it.
func (r Revision) Link(n int) (string, bool) {
	if n < 0 || n >= len(r.Links) {
		return "", false
	}
	return r.Links[n], true
}
