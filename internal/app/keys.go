package app

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"rapport"
	"rapport/config"
)

// Keys are the installation's secrets: sign makes links that nobody else can
// make and may be changed one day; pepper makes the fingerprints of addresses
// and must stay what it is for the life of the database.
type Keys struct{ Sign, Pepper []byte }

// keyFile is made in the data folder when the configuration names none.
const keyFile = "secret.key"

// OpenKeys reads the key file, and makes it (mode 0600) at the first start if
// the configuration names none. The file holds two lines, "sign: HEX" and
// "pepper: HEX". A file of a single line of at least 32 characters will do as
// well, and the pepper is derived from it; whoever changes such a key later
// keeps the old pepper in a line of its own.
func OpenKeys(c config.Config, random io.Reader) (Keys, error) {
	path := c.SecretKeyFile
	if path == "" {
		path = filepath.Join(c.Data, keyFile)
		if err := makeKeys(path, random); err != nil {
			return Keys{}, rapport.Unavailablef(err, "the key file %s cannot be made: %v", path, err)
		}
	}
	text, err := os.ReadFile(path) //nolint:gosec // named by the operator
	if err != nil {
		return Keys{}, rapport.Unavailablef(err, "the key file cannot be read: %v", err)
	}
	keys, err := parseKeys(string(text))
	if err != nil {
		return Keys{}, rapport.Invalidf("secret_key_file", "%s: %v", path, err)
	}
	return keys, nil
}

func makeKeys(path string, random io.Reader) error {
	if _, err := os.Stat(path); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	both := make([]byte, 64)
	if _, err := io.ReadFull(random, both); err != nil {
		return err
	}
	text := fmt.Sprintf("sign: %x\npepper: %x\n", both[:32], both[32:])
	// Another process may make it at this moment; whoever links first wins.
	tmp, err := os.CreateTemp(filepath.Dir(path), ".key-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(tmp.Name()) }() // its content lives on under the other name
	_, err = tmp.WriteString(text)
	if err := errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	if err := os.Link(tmp.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

func parseKeys(text string) (Keys, error) {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if len(lines) == 1 && !strings.HasPrefix(lines[0], "sign:") {
		line := strings.TrimSpace(lines[0])
		if len(line) < 32 {
			return Keys{}, errors.New("the key must have at least 32 characters")
		}
		pepper, err := hkdf.Key(sha256.New, []byte(line), nil, "rapport pepper", 32)
		return Keys{Sign: []byte(line), Pepper: pepper}, err
	}
	var k Keys
	for i, line := range lines {
		name, value, _ := strings.Cut(line, ":")
		key, err := hex.DecodeString(strings.TrimSpace(value))
		if err != nil || len(key) < 16 {
			return Keys{}, fmt.Errorf("line %d is not a key of at least 32 hexadecimal digits", i+1)
		}
		switch strings.TrimSpace(name) {
		case "sign":
			k.Sign = key
		case "pepper":
			k.Pepper = key
		default:
			return Keys{}, fmt.Errorf("line %d begins with neither sign: nor pepper", i+1)
		}
	}
	if k.Sign == nil || k.Pepper == nil {
		return Keys{}, errors.New("it needs a line sign: and a line pepper:")
	}
	return k, nil
}

// word is an unguessable word of 26 letters and digits.
func word() string { return rand.Text() }
