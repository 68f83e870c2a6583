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

// keyPath is where the key file stands.
func keyPath(c config.Config) string {
	if c.SecretKeyFile != "" {
		return c.SecretKeyFile
	}
	return filepath.Join(c.Data, keyFile)
}

// KeyPath is where the key file of the house stands.
func (h *House) KeyPath() string { return keyPath(h.Config) }

// OpenKeys reads the key file, and makes it (mode 0600) at the first start if
// the configuration names none; made says so. The file holds two lines,
// "sign: HEX" and "pepper: HEX". A file of a single line of at least 32
// characters will do as well, and the pepper is derived from it; whoever changes
// such a key later keeps the old pepper in a line of its own.
func OpenKeys(c config.Config, random io.Reader) (k Keys, made bool, err error) {
	path := keyPath(c)
	if c.SecretKeyFile == "" {
		if made, err = makeKeys(path, random); err != nil {
			return k, false, rapport.Unavailablef(err, "the key file %s cannot be made: %v", path, err)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return k, made, rapport.Unavailablef(err, "the key file cannot be read: %v", err)
	}
	if k, err = parseKeys(string(text)); err != nil {
		return k, made, rapport.Invalidf("secret_key_file", "%s: %v", path, err)
	}
	return k, made, nil
}

// makeKeys writes the key file unless there is one.
func makeKeys(path string, random io.Reader) (made bool, err error) {
	if _, err := os.Stat(path); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	both := make([]byte, 64)
	if _, err := io.ReadFull(random, both); err != nil {
		return false, err
	}
	text := fmt.Sprintf("sign: %x\npepper: %x\n", both[:32], both[32:])
	// Another process may make it at this moment; whoever links first wins.
	tmp, err := os.CreateTemp(filepath.Dir(path), ".key-*")
	if err != nil {
		return false, err
	}
	defer func() { _ = os.Remove(tmp.Name()) }() // its content lives on under the other name
	_, err = tmp.WriteString(text)
	if err := errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return false, err
	}
	err = os.Link(tmp.Name(), path)
	if errors.Is(err, fs.ErrExist) {
		return false, nil
	}
	return err == nil, err
}

// wrongKey says what to do about a key that the database does not know. One
// that was made a moment ago is taken away again: nothing was signed with it,
// and it would stand in the place of the right one.
func wrongKey(c config.Config, made bool, err error) error {
	path := keyPath(c)
	if !made {
		return fmt.Errorf("the key file %s: %w", path, err)
	}
	return errors.Join(rapport.Conflictf("there is no key file %s, and the database was made with one: put it there, name it as secret_key_file, or correct data if this is the wrong folder", path),
		os.Remove(path))
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
		return Keys{}, errors.New("it needs a line sign: and a line pepper: in it")
	}
	return k, nil
}

// word is an unguessable word of 26 letters and digits.
func word() string { return rand.Text() }
