// Package library holds the starter templates that come with Rapport:
// letters that are readable on a phone, in Outlook, in the dark and by a screen
// reader, a chat message and a payload for another system, each in English and
// German.
//
// They are templates like any other, to be copied and changed. They load
// nothing from other hosts and hold no customer's data. Nothing in the house
// depends on one of them.
package library
