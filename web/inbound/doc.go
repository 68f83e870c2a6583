// Package inbound is the door for calls of providers: somebody has pressed a
// button in one of our messages. It bounds what is read, has the channel prove
// that the call is the provider's, and ends what the signed token in the button
// names.
//
// It believes nothing that is not signed, gives no permission, and tells a
// stranger nothing about what is configured.
package inbound
