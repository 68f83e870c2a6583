// Package relay stands between a program and a server it talks to over TCP and
// spoils the line on command: it cuts, holds, swallows one direction, delays,
// throttles, and cuts right behind an octet string that it was told to wait
// for. Without a command it passes everything on as it comes.
//
// It does not look into what it carries beyond that string, changes no octet,
// and knows no protocol: what a server says is the server's business. It
// listens on loopback only.
package relay
