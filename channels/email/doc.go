// Package email carries messages over SMTP (RFC 5321). It composes a letter
// once into one buffer, takes a kept connection that is dialled, encrypted and
// authenticated, asks for permission to let the letter leave, writes envelope
// and letter, and judges the answer by its codes. Where the server knows
// PIPELINING, the next envelope goes out behind the letter before it.
//
// What it promises: one recipient an envelope; no octet before the permission;
// no second server after a body was offered; a connection lost between the
// final dot and its answer is told as uncertain, never as a failure; passwords
// are sent only over TLS; nothing that a recipient or an author wrote becomes a
// header, a command or a second message.
//
// What it refuses to do: it does not queue, repeat or pace over processes, it
// does not render, it does not fall back to clear text unless the
// configuration says so, and it does not read mailboxes.
package email
