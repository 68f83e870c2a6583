package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

const (
	root   = "../.."
	module = "rapport"
)

// source is one Go file of the house.
type source struct {
	name   string // path from the root, with slashes
	room   string // its folder, "." for the root
	test   bool
	lines  int
	tree   *ast.File
	places *token.FileSet
}

// house is read once for all tests.
var house = sync.OnceValues(parse)

func read(t *testing.T) []source {
	t.Helper()
	all, err := house()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 50 {
		t.Fatalf("only %d files found", len(all))
	}
	return all
}

// parse parses every Go file of the module, whatever its build tags.
func parse() ([]source, error) {
	var out []source
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if base := d.Name(); file != root && (strings.HasPrefix(base, ".") || base == "testdata" || base == "data" || base == "bin") {
				return filepath.SkipDir
			}
			return nil
		}
		if filepath.Ext(file) != ".go" {
			return nil
		}
		s, err := readOne(file)
		out = append(out, s)
		return err
	})
	return out, err
}

func readOne(file string) (source, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return source{}, err
	}
	rel, err := filepath.Rel(root, file)
	if err != nil {
		return source{}, err
	}
	s := source{
		name: filepath.ToSlash(rel), places: token.NewFileSet(),
		lines: strings.Count(string(text), "\n"), test: strings.HasSuffix(file, "_test.go"),
	}
	s.room = path.Dir(s.name)
	s.tree, err = parser.ParseFile(s.places, s.name, text, parser.ParseComments)
	return s, err
}

// exam says whether only tests need the file.
func (s source) exam() bool { return s.test || rooms[s.room].exam }

func (s source) line(n ast.Node) string { return s.places.Position(n.Pos()).String() }

func (s source) imports() map[string]ast.Node {
	out := map[string]ast.Node{}
	for _, i := range s.tree.Imports {
		if p, err := strconv.Unquote(i.Path.Value); err == nil {
			out[p] = i
		}
	}
	return out
}

// TestFloors: imports point down, and every package has its place.
func TestFloors(t *testing.T) {
	for _, s := range read(t) {
		here, known := rooms[s.room]
		if !known {
			t.Errorf("%s: package %s has no floor; add a line to rooms in internal/archtest/table_test.go", s.name, s.room)
			continue
		}
		if s.test {
			continue
		}
		for p, at := range s.imports() {
			other, ours := strings.CutPrefix(p, module+"/")
			if p == module {
				other, ours = ".", true
			}
			if !ours {
				continue
			}
			if there := rooms[other]; there.floor > here.floor || there.floor == here.floor && !slices.Contains(here.may, other) {
				t.Errorf("%s: %s (floor %d) must not import %s (floor %d); imports point down", s.line(at), s.room, here.floor, other, there.floor)
			}
		}
	}
}

// TestKeepers: what comes from outside has one keeper, and a new dependency
// gets a line in the table and in docs/adr.
func TestKeepers(t *testing.T) {
	for _, s := range read(t) {
		if s.exam() {
			continue
		}
		for p, at := range s.imports() {
			host, _, _ := strings.Cut(p, "/")
			if !strings.Contains(host, ".") {
				continue // standard library, or ours
			}
			kept, found := keeper(p)
			switch {
			case !found:
				t.Errorf("%s: %s has no keeper; add a line to keepers in internal/archtest/table_test.go and to docs/adr", s.line(at), p)
			case !slices.ContainsFunc(kept, func(k string) bool { return keeps(k, s.room) }):
				t.Errorf("%s: %s is kept by %s; ask them instead", s.line(at), p, strings.Join(kept, ", "))
			}
		}
	}
}

// keeper finds the entry with the longest prefix of an import path.
func keeper(p string) ([]string, bool) {
	for at := p; at != "." && at != "/"; at = path.Dir(at) {
		if kept, ok := keepers[at]; ok {
			return kept, true
		}
	}
	return nil, false
}

func keeps(who, room string) bool {
	below, all := strings.CutSuffix(who, "/...")
	return who == anywhere || who == room || all && (room == below || strings.HasPrefix(room, below+"/"))
}

// TestDriverNames: a driver's name is spelt out at home only, so that a new
// channel is one folder and one line.
func TestDriverNames(t *testing.T) {
	for _, s := range read(t) {
		if s.exam() {
			continue
		}
		ast.Inspect(s.tree, func(n ast.Node) bool {
			lit, ok := n.(*ast.BasicLit)
			if !ok || lit.Kind != token.STRING {
				return true
			}
			word, err := strconv.Unquote(lit.Value)
			if err != nil || !slices.Contains(drivers, word) {
				return true
			}
			home := slices.ContainsFunc(spells[word], func(h string) bool { return s.name == h || s.room == h })
			if !home {
				t.Errorf("%s: %q is spelt out; other rooms read drivers as data", s.line(lit), word)
			}
			return true
		})
	}
}

// TestWorld: clock, environment and network are handed in.
func TestWorld(t *testing.T) {
	for _, s := range read(t) {
		if s.exam() || slices.Contains(outside, s.room) {
			continue
		}
		floor := rooms[s.room].floor
		ast.Inspect(s.tree, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			pkg, ok := sel.X.(*ast.Ident)
			if !ok {
				return true
			}
			name := pkg.Name + "." + sel.Sel.Name
			for _, w := range world {
				if slices.Contains(w.floors, floor) && slices.Contains(w.names, name) {
					t.Errorf("%s: floor %d does not call %s; let it be handed in", s.line(sel), floor, name)
				}
			}
			return true
		})
	}
}

// TestDoc: every package says in doc.go what it does and refuses.
func TestDoc(t *testing.T) {
	has := map[string]bool{}
	all := map[string]bool{}
	for _, s := range read(t) {
		all[s.room] = true
		if path.Base(s.name) != "doc.go" {
			continue
		}
		comment := s.tree.Doc.Text()
		if want := "Package " + s.tree.Name.Name + " "; strings.HasPrefix(comment, want) ||
			s.tree.Name.Name == "main" && strings.HasPrefix(comment, "Command ") {
			has[s.room] = true
		}
	}
	for room := range all {
		if !has[room] {
			t.Errorf("%s has no doc.go that begins with \"Package …\"", room)
		}
	}
}

// TestFileLength: a file is read in one sitting.
func TestFileLength(t *testing.T) {
	for _, s := range read(t) {
		most := maxLines
		if s.exam() {
			most = maxTestLines
		}
		if s.lines > most && !ast.IsGenerated(s.tree) {
			t.Errorf("%s has %d lines; more than %d is two files", s.name, s.lines, most)
		}
	}
}
