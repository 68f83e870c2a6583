package requests_test

import (
	"testing"

	"rapport/requests"
)

func TestMailbox(t *testing.T) {
	for address, want := range map[string]string{
		"anna@example.com": "anna@example.com", "Anna+Shop@Example.com": "anna@example.com", "anna+a+b@example.com": "anna@example.com",
		"+@example.com": "@example.com", "o'neil@example.com": "o'neil@example.com", "A.nn.a+x@Gmail.com": "anna@gmail.com", "an.na@googlemail.com": "anna@gmail.com", "an.na@example.com": "an.na@example.com",
		"U024BE7LH": "u024be7lh", "a+b": "a+b", "": "",
	} {
		if got := requests.Mailbox(address); got != want {
			t.Errorf("%q: %q, want %q", address, got, want)
		}
	}
}

func TestKinds(t *testing.T) {
	for k, want := range map[requests.Kind]bool{requests.Subscribe: true, requests.Renew: true, requests.Move: true, requests.SeeData: true, requests.Erase: true, "": false, "other": false} {
		if k.Valid() != want {
			t.Errorf("%q: %v", k, k.Valid())
		}
	}
}
