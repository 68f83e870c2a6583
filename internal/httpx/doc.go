// Package httpx is careful outbound HTTP: every call a channel or an import
// makes to an address that a person wrote down goes through its Client. The
// Client checks the address it is really connected to, follows no redirect,
// asks no proxy, reads a bounded answer, and leaves nothing secret in an error.
// A Trip tells whether a request may have reached the server, and asks for
// permission at the last moment before it does.
//
// It speaks HTTP/1.1 only: one request at a time on a connection is what makes
// "nothing has left yet" a fact. It retries nothing by itself, apart from a
// kept connection that turned out to be closed before anything was written.
// It keeps no cookies, and it does not judge what an answer means.
package httpx
