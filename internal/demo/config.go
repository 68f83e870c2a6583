package demo

import (
	"fmt"
	"strings"
)

// configuration is the YAML file that a person would write for this world.
// Retries come soon, so that a demo shows them.
func configuration(data, listen, admin, public string, w *world) string {
	lines := []string{
		"listen: " + listen,
		"admin: " + admin,
		"public_url: " + public,
		"name: Linden & Co.",
		fmt.Sprintf("data: %q", data),
		"log: {level: error}",
		"retry: {first: 2s, longest: 8s, attempts: 5}",
		"stop: 2s",
		"topics:",
		"  - {name: newsletter, kind: marketing, title: {en: Newsletter, de: Newsletter}}",
		"  - {name: events, kind: marketing, title: {en: Invitations, de: Einladungen}}",
		"  - {name: offers, kind: marketing, title: {en: Offers, de: Angebote}}",
		"channels:",
		"  - name: newsletter",
		"    driver: email",
		"    from: Linden & Co. <news@linden.example.com>",
		"    reply_to: hello@linden.example.com",
		"    servers:",
		"      - url: smtp://" + w.mail.Addr() + "?tls=none",
		"  - name: team",
		"    driver: slack",
		"    token: " + chatToken,
		"    api_url: " + w.chat.APIURL(),
		"    sender: Linden & Co.",
		"    private: [127.0.0.0/8]",
		"  - name: shop",
		"    driver: webhook",
		"    url: " + w.hook.Endpoint(),
		"    secret: " + hookSecret,
		"    private: [127.0.0.0/8]",
	}
	return strings.Join(lines, "\n") + "\n"
}
