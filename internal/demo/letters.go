package demo

import (
	"embed"
	"fmt"
	"io/fs"
	"strings"

	"rapport/channels"
	"rapport/templates"
	"rapport/templates/library"
)

//go:embed letters
var letterFiles embed.FS

// letters returns the three templates of the demo. Their links lead to shop,
// the page that stands in for the sender's own.
func letters(drivers *channels.Registry, shop string) ([]templates.Source, error) {
	news, err := newsletter(drivers, shop)
	if err != nil {
		return nil, err
	}
	out := []templates.Source{news}
	for _, name := range []string{"evening", "gift"} {
		folder, err := fs.Sub(letterFiles, "letters/"+name)
		if err != nil {
			return nil, fmt.Errorf("open the template %s: %w", name, err)
		}
		src, err := templates.Load(folder, drivers)
		if err != nil {
			return nil, fmt.Errorf("load the template %s: %w", name, err)
		}
		out = append(out, src)
	}
	return out, nil
}

// Where the library's newsletter ends its greeting, and where its links go.
const (
	afterGreeting = "</td></tr>\n<tr><td class=\"pad\" style=\"padding:32px 40px;\">"
	libraryShop   = "https://shop.example.com"
)

// newsletter is the library's, with each reader's account behind the greeting.
func newsletter(drivers *channels.Registry, shop string) (templates.Source, error) {
	src, err := library.Load("newsletter", drivers)
	if err != nil {
		return src, fmt.Errorf("take the newsletter from the library: %w", err)
	}
	src.Template.Name, src.Template.Title = "demo-news", "Newsletter with the reader's account"
	for locale, parts := range src.Content.Sources {
		account, err := letterFiles.ReadFile("letters/account/" + locale + ".liquid")
		if err != nil {
			return src, fmt.Errorf("read the account in %s: %w", locale, err)
		}
		before, after, ok := strings.Cut(parts["html"], afterGreeting)
		if !ok {
			return src, fmt.Errorf("the library's newsletter in %s has no place for the account", locale)
		}
		html := before + "</td></tr>\n" + string(account) + strings.TrimPrefix(afterGreeting, "</td></tr>\n") + after
		parts["html"] = strings.ReplaceAll(html, libraryShop, shop)
	}
	return src, nil
}
