package config

import (
	"encoding/json"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"rapport/internal/strictyaml"
)

const prefix = "RAPPORT_"

// notOurs are variables that begin like ours and are not settings: those of
// the tests and the command line, and those an orchestrator makes up for a
// service of that name (RAPPORT_PORT_8080_TCP_ADDR).
var notOurs = regexp.MustCompile(`^RAPPORT_(TEST_.*|BENCH_.*|CONFIG|SERVER|KEY|CLOCK|FAIL.*|(.*_)?(PORT(_\d+_(TCP|UDP)(_\w+)?)?|SERVICE_(HOST|PORT)(_.*)?))$`)

// variable is the name of the environment variable for a key or a name.
func variable(path string) string {
	return strings.ToUpper(strings.NewReplacer(".", "_", "-", "_").Replace(path))
}

// environment applies the variables over the file.
func (l *loader) environment(env []string) {
	plain := map[string]leaf{}
	for _, s := range leaves(reflect.ValueOf(&l.file.Config).Elem(), "") {
		if s.path != "topics" {
			plain[prefix+variable(s.path)] = s
		}
	}
	var lists [2][]pair // topics and channels, whose names may come from here too
	for _, p := range pairs(env) {
		s, known := plain[p.name]
		switch {
		case known:
			l.origin[s.path] = p.name
			if err := s.set(p.value); err != nil {
				l.regret(s.path, err)
			}
		case strings.HasPrefix(p.name, prefix+"TOPICS_"):
			lists[0] = append(lists[0], p)
		case strings.HasPrefix(p.name, prefix+"CHANNELS_"):
			lists[1] = append(lists[1], p)
		case !notOurs.MatchString(p.name):
			l.strange(p.name, slices.Sorted(maps.Keys(plain)))
		}
	}
	l.topicVariables(lists[0])
	l.channelVariables(lists[1])
}

// strange complains about a variable that sets nothing.
func (l *loader) strange(name string, known []string) {
	msg := "sets nothing; docs/settings.md lists the variables"
	if near := strictyaml.Nearest(name, known); near != "" {
		msg = "sets nothing; did you mean " + near + "?"
	}
	l.complaints = append(l.complaints, strictyaml.Complaint{File: name, Msg: msg})
}

type pair struct{ name, value string }

// pairs lists our variables that are set to something, sorted; of one that is
// given twice the last counts, as in a shell.
func pairs(env []string) []pair {
	last := map[string]string{}
	for _, e := range env {
		name, value, _ := strings.Cut(e, "=")
		if strings.HasPrefix(name, prefix) {
			last[name] = value
		}
	}
	var out []pair
	for name, value := range last {
		if value != "" {
			out = append(out, pair{name, value})
		}
	}
	slices.SortFunc(out, func(a, b pair) int { return strings.Compare(a.name, b.name) })
	return out
}

// split finds which of the names a variable is about: the longest that fits.
// A name nobody wrote yet is taken from the variable that ends in mark
// ("_DRIVER" makes a channel, "_KIND" a topic).
func split(rest string, names []string) (index int, key string, ok bool) {
	index = -1
	for i, n := range names {
		key, found := strings.CutPrefix(rest, variable(n)+"_")
		if found && key != "" && (index < 0 || len(n) > len(names[index])) {
			index, ok = i, true
		}
	}
	if !ok {
		return 0, "", false
	}
	return index, strings.ToLower(rest[len(names[index])+1:]), true
}

// made lists the names that variables ending in mark bring along.
func made(vars []pair, list, mark string, names []string) []string {
	for _, p := range vars {
		rest := strings.TrimPrefix(p.name, prefix+list)
		name, found := strings.CutSuffix(rest, mark)
		if !found || name == "" {
			continue
		}
		if !slices.ContainsFunc(names, func(n string) bool { return variable(n) == name }) {
			names = append(names, strings.ToLower(name))
		}
	}
	return names
}

func (l *loader) topicVariables(vars []pair) {
	var names []string
	for _, t := range l.file.Topics {
		names = append(names, t.Name)
	}
	for _, n := range made(vars, "TOPICS_", "_KIND", names)[len(names):] {
		names = append(names, n)
		l.file.Topics = append(l.file.Topics, Topic{Name: n})
	}
	for _, p := range vars {
		i, key, ok := split(strings.TrimPrefix(p.name, prefix+"TOPICS_"), names)
		if !ok {
			l.complaints = append(l.complaints, strictyaml.Complaint{
				File: p.name,
				Msg:  "sets nothing: no topic of that name is configured; known: " + strings.Join(names, ", ") + " (a variable that ends in _KIND makes one)",
			})
			continue
		}
		all := leaves(reflect.ValueOf(&l.file.Topics[i]).Elem(), "")
		at := slices.IndexFunc(all, func(s leaf) bool { return s.path == key && key != "name" })
		if at < 0 {
			l.strange(p.name, nil)
			continue
		}
		path := listPath("topics", i, key)
		l.origin[path] = p.name
		if err := all[at].set(p.value); err != nil {
			l.regret(path, err)
		}
	}
}

// channelVariables puts variables among the raw settings of their channel, as
// the driver's field wants them: text stays text, the rest is read as YAML.
func (l *loader) channelVariables(vars []pair) {
	var names []string
	for _, c := range l.file.Channels {
		names = append(names, plainText(c["name"]))
	}
	for _, n := range made(vars, "CHANNELS_", "_DRIVER", names)[len(names):] {
		names = append(names, n)
		l.file.Channels = append(l.file.Channels, map[string]json.RawMessage{"name": quoted(n)})
	}
	// The driver comes first: it decides what the other keys mean.
	slices.SortStableFunc(vars, func(a, b pair) int {
		return order(b.name) - order(a.name)
	})
	for _, p := range vars {
		i, key, ok := split(strings.TrimPrefix(p.name, prefix+"CHANNELS_"), names)
		if !ok {
			l.complaints = append(l.complaints, strictyaml.Complaint{
				File: p.name,
				Msg:  "sets nothing: no channel of that name is configured; known: " + strings.Join(names, ", ") + " (a variable that ends in _DRIVER makes one)",
			})
			continue
		}
		l.channelVariable(i, key, p)
	}
}

func order(name string) int {
	if strings.HasSuffix(name, "_DRIVER") {
		return 1
	}
	return 0
}

func (l *loader) channelVariable(i int, key string, p pair) {
	settings := l.file.Channels[i]
	if settings == nil {
		settings = map[string]json.RawMessage{}
		l.file.Channels[i] = settings
	}
	kind, known := l.keyType(plainText(settings["driver"]), key)
	if !known || key == "name" {
		l.strange(p.name, nil)
		return
	}
	path := listPath("channels", i, key)
	raw, err := fromText(p.value, kind)
	if err != nil {
		l.origin[path] = p.name
		l.regret(path, err)
		return
	}
	l.origin[path] = p.name
	settings[key] = raw
	// What the variable says replaces what the file says in its other form.
	if bare, isFile := strings.CutSuffix(key, "_file"); isFile {
		delete(settings, bare)
	} else {
		delete(settings, key+"_file")
	}
}
