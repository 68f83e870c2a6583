package store

import (
	"context"
	"database/sql"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestEveryStatementPrepares finds every constant of type query in the source
// of this package and prepares it on both engines: a misspelt column, a word
// that one engine does not know or a parameter without a type fails here.
func TestEveryStatementPrepares(t *testing.T) {
	all := statements(t)
	if len(all) == 0 {
		t.Fatal("no statement was found")
	}
	for name, o := range engines(t) {
		t.Run(name, func(t *testing.T) {
			s, err := Open(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = s.Close() }()
			for _, c := range slices.Sorted(maps.Keys(all)) {
				if name == "sqlite" && strings.Contains(all[c], "pg_") {
					continue // advisory locks, which SQLite has no need of
				}
				if name == "postgres" && strings.Contains(all[c], "sqlite_") {
					continue // SQLite's own tables
				}
				st, err := s.pools.durable.PrepareContext(t.Context(), s.d.spell(all[c]))
				if err != nil {
					t.Errorf("%s: %v", c, err)
					continue
				}
				_ = st.Close() //nolint:sqlclosecheck // in a loop
			}
		})
	}
}

// engines returns options of an empty, up-to-date database of each engine at
// hand. (internal/testkit does the same for other packages; it imports this.)
func engines(t *testing.T) map[string]Options {
	t.Helper()
	out := map[string]Options{"sqlite": {Data: t.TempDir(), Now: time.Now}}
	address := os.Getenv("RAPPORT_TEST_POSTGRES")
	if address == "" {
		t.Log("RAPPORT_TEST_POSTGRES is not set: not run on PostgreSQL")
		return out
	}
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("prepare_%d_%d", os.Getpid(), time.Now().UnixNano())
	db, err := sql.Open("pgx", address)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), "CREATE SCHEMA "+name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := db.ExecContext(context.WithoutCancel(t.Context()), "DROP SCHEMA "+name+" CASCADE"); err != nil {
			t.Error(err)
		}
		_ = db.Close()
	})
	q := u.Query()
	q.Set("search_path", name)
	u.RawQuery = q.Encode()
	o := Options{Database: u.String(), Data: t.TempDir(), Now: time.Now}
	migrated(t, o)
	out["postgres"] = o
	return out
}

// statements returns the text of every constant of type query by its name.
func statements(t *testing.T) map[string]string {
	t.Helper()
	set := token.NewFileSet()
	files, err := fs.Glob(os.DirFS("."), "*.go")
	if err != nil {
		t.Fatal(err)
	}
	consts := map[string]ast.Expr{}
	var queries []string
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(set, name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok != token.CONST {
				continue
			}
			for _, sp := range g.Specs {
				v := sp.(*ast.ValueSpec)
				for i, id := range v.Names {
					if i < len(v.Values) {
						consts[id.Name] = v.Values[i]
					}
					if typ, ok := v.Type.(*ast.Ident); ok && typ.Name == "query" {
						queries = append(queries, id.Name)
					}
				}
			}
		}
	}
	out := map[string]string{}
	for _, q := range queries {
		text, err := evaluate(consts[q], consts)
		if err != nil {
			t.Fatalf("%s: %v", q, err)
		}
		out[q] = text
	}
	return out
}

// evaluate works out a constant string: a literal, a name, a sum, in brackets.
func evaluate(e ast.Expr, consts map[string]ast.Expr) (string, error) {
	switch e := e.(type) {
	case *ast.BasicLit:
		if e.Kind != token.STRING {
			return e.Value, nil
		}
		return strconv.Unquote(e.Value)
	case *ast.ParenExpr:
		return evaluate(e.X, consts)
	case *ast.BinaryExpr:
		a, err := evaluate(e.X, consts)
		if err != nil {
			return "", err
		}
		b, err := evaluate(e.Y, consts)
		return a + b, err
	case *ast.Ident:
		if def, ok := consts[e.Name]; ok {
			return evaluate(def, consts)
		}
	}
	return "", fmt.Errorf("a statement must be made of constants, not %T", e)
}
