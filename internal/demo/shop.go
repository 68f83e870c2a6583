package demo

import (
	"html/template"
	"net/http"
	"strings"
)

// shopPath is where the stand-in for the sender's own pages begins.
const shopPath = "/shop/"

var shopPage = template.Must(template.New("shop").Parse(`<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Linden &amp; Co.</title>
<style>
:root { color-scheme: light dark }
body { margin: 0; font: 17px/1.6 system-ui, sans-serif; background: #f2f3f0; color: #1c2430 }
main { max-width: 34rem; margin: 12vh auto; padding: 2rem; background: #fff; border-radius: 16px }
h1 { font: 700 1.6rem/1.3 Georgia, serif; margin: 0 0 .5rem; color: #0b6b4d }
@media (prefers-color-scheme: dark) { body { background: #14171b; color: #eef1f4 } main { background: #1e2329 } h1 { color: #7fd1ae } }
</style>
<main>
<h1>Linden &amp; Co.</h1>
<p>Here would be the sender's own page <b>{{.}}</b>. You came by a link in a message, and Rapport has written the click down.</p>
</main>
</html>
`))

// shop answers every address of the sender's own pages.
func shop(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	_ = shopPage.Execute(w, "/"+strings.TrimPrefix(r.URL.Path, shopPath)) // the reader went away
}
