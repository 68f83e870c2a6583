// Package csvtext knows what spreadsheets do to tables of text: which cells
// they take for formulas, and which ends of lines old ones write. It neither
// reads nor writes CSV itself.
package csvtext
