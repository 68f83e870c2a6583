package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"reflect"
	"slices"
	"strings"

	"rapport/channels"
	"rapport/internal/secret"
	"rapport/internal/strictyaml"
)

// document is the shape of the file: channels keep what only their driver
// understands.
type document struct {
	Config
	Channels []map[string]json.RawMessage `json:"channels"`
}

// Load reads the file (none when path is empty), applies the environment
// (NAME=value, as os.Environ gives it), reads secret files and checks all of
// it, the channels' settings with the drivers' own check. Without drivers
// (nil) these are taken as they stand.
//
// The error, if any, is strictyaml.Complaints, of kind rapport.Invalid; the
// Config is then filled as far as it could be understood and only good for
// printing.
func Load(path string, env []string, drivers *channels.Registry) (Config, error) {
	l := &loader{drivers: drivers, origin: map[string]string{}}
	var data []byte
	if path != "" {
		var err error
		if data, err = os.ReadFile(path); err != nil {
			return Default(), strictyaml.Complaints{{File: path, Msg: "the configuration " + whyUnread(err)}}
		}
	}
	doc, err := strictyaml.Parse(path, data)
	if err != nil {
		return Default(), err
	}
	l.doc, l.hasFile = doc, path != ""
	l.file.Config = Default()
	l.gather(doc.Decode(&l.file))
	l.environment(env)
	l.secretFiles()
	l.topics()
	l.forms()
	l.mailboxes()
	l.channels()
	l.finish()
	l.check()
	return l.file.Config, l.complaints.Err()
}

// loader gathers one configuration and every complaint about it.
type loader struct {
	drivers    *channels.Registry
	doc        *strictyaml.Document
	hasFile    bool
	file       document
	origin     map[string]string // path of a key → variable that set it
	complaints strictyaml.Complaints
}

// complain places a complaint where the key was set: in a variable, in the
// file, or nowhere for a default.
func (l *loader) complain(path, format string, args ...any) {
	for at := path; at != ""; at = parent(at) {
		if variable, ok := l.origin[at]; ok {
			l.complaints = append(l.complaints, strictyaml.Complaint{File: variable, Key: path, Msg: fmt.Sprintf(format, args...)})
			return
		}
	}
	c := l.doc.Complain(path, format, args...)
	if !l.hasFile {
		c.File, c.Line, c.Column = "configuration", 0, 0
	}
	l.complaints = append(l.complaints, c)
}

// parent cuts the last step off a path; a list's item belongs to no variable
// but its own.
func parent(path string) string {
	i := strings.LastIndexAny(path, ".[")
	if i < 0 {
		return ""
	}
	return path[:i]
}

// gather takes over complaints that already know their place.
func (l *loader) gather(err error) {
	if cs, ok := errors.AsType[strictyaml.Complaints](err); ok {
		l.complaints = append(l.complaints, cs...)
	}
}

// regret takes over complaints about a value read on its own and gives them
// the place of its key.
func (l *loader) regret(path string, err error) {
	cs, ok := errors.AsType[strictyaml.Complaints](err)
	if !ok && err != nil {
		l.complain(path, "%s", err.Error())
	}
	for _, c := range cs {
		at := path
		if c.Key != "" {
			at += "." + c.Key
			at = strings.ReplaceAll(at, ".[", "[")
		}
		l.complain(at, "%s", c.Msg)
	}
}

// secretFiles reads the files that hold secrets of the house itself.
func (l *loader) secretFiles() {
	all := leaves(reflect.ValueOf(&l.file.Config).Elem(), "")
	for _, s := range all {
		value, isSecret := reflect.TypeAssert[*Address](s.value.Addr())
		if !isSecret {
			continue
		}
		i := slices.IndexFunc(all, func(f leaf) bool { return f.path == s.path+"_file" })
		if i < 0 || all[i].value.String() == "" {
			continue
		}
		if !value.Empty() {
			l.complain(all[i].path, "%s is set as well; keep one of the two", s.path)
			continue
		}
		text, err := readSecret(all[i].value.String())
		if err != nil {
			l.complain(all[i].path, "%s", err.Error())
			continue
		}
		*value = Address{secret.New(text)}
		l.origin[s.path] = all[i].value.String()
	}
}

// readSecret returns what a file holds, less one line end.
func readSecret(path string) (string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("the file %s %s", path, whyUnread(err))
	}
	text := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	if text == "" {
		return "", fmt.Errorf("the file %s is empty; write the secret into it", path)
	}
	return text, nil
}

func whyUnread(err error) string {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "does not exist; create it or correct the path"
	case errors.Is(err, fs.ErrPermission):
		return "may not be read by this user; change its owner or mode"
	}
	if at, ok := errors.AsType[*fs.PathError](err); ok {
		return "cannot be read: " + at.Err.Error()
	}
	return "cannot be read"
}

// finish fills in what follows from other settings.
func (l *loader) finish() {
	c := &l.file.Config
	if c.Admin == "off" {
		c.Admin = ""
	}
	c.PublicURL = strings.TrimRight(c.PublicURL, "/")
	if host, port, ok := loopbackPort(c.Listen); ok && c.PublicURL == "" && port != "0" {
		c.PublicURL = "http://" + host + ":" + port
	}
}
