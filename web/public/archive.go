package public

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"time"

	"rapport"
	"rapport/requests"
)

// Archives hands people the copy of their data that they have asked for and
// confirmed.
type Archives struct {
	// Write writes the archive of a request; nil: there are none. NotFound when
	// the person is gone.
	Write func(ctx context.Context, r requests.Request, w io.Writer) error
	// For is how long after the confirmation it can be fetched.
	For time.Duration
}

// until is when the copy of a confirmed request cannot be fetched any more. It is
// told in UTC, since a request does not hold the zone of its person.
func (a Archives) until(r requests.Request) time.Time { return r.ConfirmedAt.Add(a.For).UTC() }

// Making an archive reads everything about a person, so few are made at once
// and none for longer than this.
const (
	archivesAtOnce  = 2
	archivePatience = 10 * time.Minute
)

// archivePath is beside the page of the request, so that links are relative.
const archivePath = "../a/"

// download is what the page of a confirmed request leads to.
type download struct{ Path string }

// archive writes the archive of a confirmed request for a copy, while it is
// read. Looking (HEAD) makes none.
func (p *Pages) archive(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), readPatience)
	req, err := p.o.Doors.Requests.Peek(ctx, r.PathValue("token"))
	cancel()
	if err == nil && !p.fetchable(req) {
		err = requests.ErrExpired
	}
	if err != nil {
		p.noRequest(w, r, req, err)
		return
	}
	out := &lateHeader{w: w}
	if r.Method == http.MethodHead {
		out.begin()
		return
	}
	done, free := p.begin(req.ID)
	if !free {
		p.show(w, r, http.StatusServiceUnavailable, "message", "form_busy_title", func(d *page) { d.Notice = d.T["form_busy_text"] })
		return
	}
	defer done()
	ctx, cancel = context.WithTimeout(r.Context(), archivePatience)
	defer cancel()
	// It may take longer than other answers; who cannot, as in a test, need not.
	_ = http.NewResponseController(w).SetWriteDeadline(p.o.Now().Add(archivePatience))
	switch err := p.o.Doors.Archives.Write(ctx, req, out); {
	case err == nil:
	case !out.begun && rapport.KindOf(err) == rapport.NotFound:
		p.noRequest(w, r, req, err)
	case !out.begun:
		p.away(w, r, err)
	default:
		p.o.Log.WarnContext(ctx, "an archive was not finished", slog.Any("error", err))
		panic(http.ErrAbortHandler) // half of it must not look whole
	}
}

// begin takes a place among those who are given an archive, one for each request,
// so that whoever reads slowly keeps few others waiting; false: come again.
func (d *doors) begin(request int64) (done func(), free bool) {
	if _, twice := d.fetching.LoadOrStore(request, true); twice {
		return nil, false
	}
	select {
	case d.making <- struct{}{}:
		return func() { <-d.making; d.fetching.Delete(request) }, true
	default:
		d.fetching.Delete(request)
		return nil, false
	}
}

// fetchable says whether the request is one for a copy that was confirmed
// lately.
func (p *Pages) fetchable(r requests.Request) bool {
	return p.o.Doors.Archives.Write != nil && r.Kind == requests.SeeData && !r.ConfirmedAt.IsZero() &&
		p.o.Now().Before(p.o.Doors.Archives.until(r))
}

// lateHeader says that an archive comes when its first octet does, so that what
// goes wrong before can still be told.
type lateHeader struct {
	w     http.ResponseWriter
	begun bool
}

func (l *lateHeader) begin() {
	if l.begun {
		return
	}
	l.begun = true
	h := l.w.Header()
	h.Set("Content-Type", "application/zip")
	h.Set("Content-Disposition", `attachment; filename="data.zip"`)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
}

// Write implements io.Writer.
func (l *lateHeader) Write(b []byte) (int, error) {
	l.begin()
	n, err := l.w.Write(b)
	if err != nil {
		return n, errors.Join(errReaderGone, err)
	}
	return n, nil
}

var errReaderGone = errors.New("the reader has gone")
