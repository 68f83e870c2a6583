// Package strictyaml reads YAML and JSON files that people write: the
// configuration, templates and campaigns. It complains about everything that
// is wrong at once, each time with file, line, column and key; keys that
// nobody asked for and keys written twice are mistakes.
//
// It refuses what makes a small file mean much or something surprising: merge
// keys, tags, several documents in one file, deep nesting, aliases that
// multiply, files above a megabyte. It opens no file itself and decides
// nothing about the values; a caller that finds a mistake later asks the
// document where the key stands.
//
// Struct fields are matched by their json tag, so that one struct serves the
// file and the API. Fields that the file does not name keep what they hold,
// so defaults are set before decoding.
package strictyaml
