// Package secret holds credentials that cannot be printed by accident. It
// stores nothing and knows no format but text.
package secret
