// Package public is the pages that people reach from a message without a
// login: the click redirect, the open pixel, unsubscribing by page and by one
// click (RFC 8058), the preference centre and the letter in a browser. Every
// address holds a signed token; what is not signed changes nothing and tells
// nothing.
//
// A GET never changes a permission. The pages need no script, load nothing from
// other hosts, set no cookie, and redirect only to targets that stand in the
// link table of a template revision. Their texts are one file for each
// language in texts.
package public
