package inbox

import (
	"bytes"
	"encoding/base64"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"strings"

	"golang.org/x/text/encoding/htmlindex"
)

// walker goes through the parts of a mail, within bounds.
type walker struct {
	parts    int
	plain    string // the first text
	html     string
	kind     string // report-type of a multipart/report
	status   string // of a delivery-status or feedback-report part
	feedback bool
	original header // of the mail that a report is about
}

// part looks at one part and those in it.
func (w *walker) part(h header, body []byte, depth int) {
	if w.parts++; w.parts > maxParts || depth > maxDepth {
		return
	}
	kind, params, err := mime.ParseMediaType(h.get("content-type"))
	if err != nil && kind == "" {
		kind = "text/plain"
	}
	if strings.HasPrefix(strings.ToLower(h.get("content-disposition")), "attachment") && !strings.HasPrefix(kind, "message/") {
		return
	}
	switch {
	case strings.HasPrefix(kind, "multipart/"):
		if kind == "multipart/report" {
			w.kind = strings.ToLower(params["report-type"])
		}
		w.multi(params["boundary"], body, depth)
	case kind == "text/plain" && w.plain == "":
		w.plain = decode(h, params["charset"], body)
	case kind == "text/html" && w.html == "":
		w.html = decode(h, params["charset"], body)
	case (kind == "message/delivery-status" || kind == "message/global-delivery-status") && w.status == "":
		w.status = decode(h, "utf-8", body)
	case kind == "message/feedback-report" && w.status == "":
		w.status, w.feedback = decode(h, "utf-8", body), true
	case (kind == "message/rfc822" || kind == "message/global" || kind == "text/rfc822-headers" || kind == "message/rfc822-headers" || kind == "message/global-headers") && w.original == nil:
		w.original, _ = splitHeader([]byte(decode(h, "utf-8", body)))
	}
}

func (w *walker) multi(boundary string, body []byte, depth int) {
	if boundary == "" {
		return
	}
	reader := multipart.NewReader(bytes.NewReader(body), boundary)
	for w.parts < maxParts {
		p, err := reader.NextRawPart()
		if err != nil {
			return
		}
		h := make(header, 0, len(p.Header))
		for name, values := range p.Header {
			for _, v := range values {
				h = append(h, field{strings.ToLower(name), clean([]byte(v))})
			}
		}
		inner, err := io.ReadAll(p)
		if err != nil && len(inner) == 0 {
			return
		}
		w.part(h, inner, depth+1)
	}
}

// decode undoes the transfer encoding and the charset, as far as they are
// right, up to a bound.
func decode(h header, charset string, body []byte) string {
	var r io.Reader = bytes.NewReader(body)
	switch strings.ToLower(h.get("content-transfer-encoding")) {
	case "base64":
		r = base64.NewDecoder(base64.StdEncoding, &lettersOnly{r})
	case "quoted-printable":
		r = quotedprintable.NewReader(r)
	}
	out, _ := io.ReadAll(io.LimitReader(r, maxText)) // what was right before an error
	if in, err := charsetReader(charset, bytes.NewReader(out)); err == nil {
		if text, err := io.ReadAll(io.LimitReader(in, 4*maxText)); err == nil {
			out = text
		}
	}
	return strings.ToValidUTF8(string(out), "\uFFFD")
}

// lettersOnly leaves out what base64 has no letter for.
type lettersOnly struct{ r io.Reader }

// Read implements io.Reader.
func (l *lettersOnly) Read(p []byte) (int, error) {
	for {
		n, err := l.r.Read(p)
		kept := 0
		for _, c := range p[:n] {
			if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '+' || c == '/' || c == '=' {
				p[kept] = c
				kept++
			}
		}
		if kept > 0 || err != nil {
			return kept, err
		}
	}
}

// charsetReader turns a charset into UTF-8; an unknown one is left as it is.
func charsetReader(charset string, in io.Reader) (io.Reader, error) {
	switch strings.ToLower(charset) {
	case "", "utf-8", "utf8", "us-ascii", "ascii":
		return in, nil
	}
	enc, err := htmlindex.Get(charset)
	if err != nil {
		return in, nil //nolint:nilerr // better its octets than nothing
	}
	return enc.NewDecoder().Reader(in), nil
}
