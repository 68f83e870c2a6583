package rights

import (
	"fmt"
	"io"
)

// certificateView is what the template sees.
type certificateView struct {
	Certificate
	T        texts
	Language string
}

// WriteHTML writes the certificate as a page to print, in the words of a
// language.
func (c Certificate) WriteHTML(w io.Writer, locale string) error {
	t, language, err := textsIn(locale)
	if err != nil {
		return err
	}
	tree, err := parse(t)
	if err != nil {
		return fmt.Errorf("read the page of a certificate: %w", err)
	}
	return tree.ExecuteTemplate(w, "certificate.html", certificateView{c, t, language})
}
