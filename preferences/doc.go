// Package preferences is what people decide about the messages they get, on
// the page that every letter links to: stop, start again, be left alone for a
// while, hear less often, object to everything, be written to in another
// language, zone or at another address, see or end what is kept about them.
//
// Whoever holds a letter may end things, for that harms nobody. A "yes" needs
// more: it is taken at once only where the letter went to the very address the
// "yes" is for and that address had said so before; else a letter to the
// mailbox asks for it (package requests).
//
// The package refuses to act for a contact that is gone, to take a "yes" from
// a machine, to stop what a person was not shown, and to show a page.
package preferences
