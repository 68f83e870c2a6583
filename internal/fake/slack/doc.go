// Package slack is a real small server on loopback that speaks as much of the
// Slack Web API as a channel needs: auth.test, users.lookupByEmail,
// conversations.open and chat.postMessage. It keeps a journal of what was
// posted and shows it on a page. A script gives it moods, by recipient and by
// attempt: ok:false with any code, any status, Retry-After, slow answers, lost
// replies.
//
// It serves the demo, tests and benchmarks and holds a bounded number of
// messages. Every well-formed address has a person behind it unless the script
// says otherwise. It is no workspace: nobody can answer, nothing is stored, and
// anyone who reaches its page may read it.
package slack
