// Package app builds the house: it is the only place that knows every room.
// It opens the store and the channels, makes the services, and starts and
// stops what runs (web, worker, recorder) in order.
//
// It decides nothing about messages or people; a line here connects two rooms.
package app
