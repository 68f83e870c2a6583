package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"rapport"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrate brings the database up to date and returns the names of the
// migrations it ran. Only one process migrates at a time; an embedded
// database that already holds something is copied beside itself first.
func (s *Store) Migrate(ctx context.Context) ([]string, error) {
	release, err := s.migrationLock(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	p, err := s.provider()
	if err != nil {
		return nil, err
	}
	version, target, err := p.GetVersions(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the schema version: %w", err)
	}
	if version > target {
		return nil, rapport.Unavailablef(nil, "the database is of a newer Rapport (schema %d, this one knows %d): use the newer program", version, target)
	}
	if version == target {
		return nil, nil
	}
	if err := s.copyBefore(ctx, version); err != nil {
		return nil, err
	}
	results, err := p.Up(ctx)
	if err != nil {
		return nil, fmt.Errorf("migrate: %w", err)
	}
	names, err := s.names()
	if err != nil {
		return nil, err
	}
	var ran []string
	for _, r := range results {
		ran = append(ran, names[r.Source.Version]...)
	}
	return ran, nil
}

// upToDate refuses a database whose schema is older or newer than ours.
func (s *Store) upToDate(ctx context.Context) error {
	p, err := s.provider()
	if err != nil {
		return err
	}
	version, target, err := p.GetVersions(ctx)
	switch {
	case err != nil:
		return fmt.Errorf("read the schema version: %w", err)
	case version < target:
		return rapport.Unavailablef(nil, "the database is at schema %d and this program needs %d: run rapport migrate", version, target)
	case version > target:
		return rapport.Unavailablef(nil, "the database is of a newer Rapport (schema %d, this one knows %d): use the newer program", version, target)
	}
	return nil
}

func (s *Store) provider() (*goose.Provider, error) {
	steps, err := s.steps()
	if err != nil {
		return nil, err
	}
	opts := []goose.ProviderOption{goose.WithDisableGlobalRegistry(true), goose.WithGoMigrations(steps...)}
	name := goose.DialectSQLite3
	if s.d == &postgresDialect {
		name = goose.DialectPostgres
		locker, err := lock.NewPostgresSessionLocker()
		if err != nil {
			return nil, fmt.Errorf("prepare the migration lock: %w", err)
		}
		opts = append(opts, goose.WithSessionLocker(locker))
	}
	p, err := goose.NewProvider(name, s.pools.durable, nil, opts...)
	if err != nil {
		return nil, fmt.Errorf("prepare migrations: %w", err)
	}
	return p, nil
}

// names lists the embedded files of this engine by version. A twin
// 0002_x.sqlite.sql or 0002_x.postgres.sql runs on that engine only, after the
// common files of its version.
func (s *Store) names() (map[int64][]string, error) {
	files, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return nil, fmt.Errorf("list migrations: %w", err)
	}
	common, twins := map[int64][]string{}, map[int64][]string{}
	for _, f := range files {
		base := path.Base(f)
		version, err := strconv.ParseInt(base[:4], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("migration %s has no number: %w", base, err)
		}
		switch {
		case strings.Count(base, ".") == 1:
			common[version] = append(common[version], base)
		case strings.Contains(base, "."+s.d.name+"."):
			twins[version] = append(twins[version], base)
		}
	}
	for version, list := range twins {
		common[version] = append(common[version], list...)
	}
	return common, nil
}

// steps reads the embedded files, one step for each version.
func (s *Store) steps() ([]*goose.Migration, error) {
	names, err := s.names()
	if err != nil {
		return nil, err
	}
	out := make([]*goose.Migration, 0, len(names))
	for _, version := range slices.Sorted(maps.Keys(names)) {
		var all strings.Builder
		for _, base := range names[version] {
			text, err := fs.ReadFile(migrations, "migrations/"+base)
			if err != nil {
				return nil, fmt.Errorf("read migration %s: %w", base, err)
			}
			all.WriteString("\n" + s.d.spell(string(text)))
		}
		up := &goose.GoFunc{RunTx: func(ctx context.Context, tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, all.String())
			return err
		}}
		out = append(out, goose.NewGoMigration(version, up, nil))
	}
	return out, nil
}

// copyBefore keeps a copy of an embedded database that holds something.
func (s *Store) copyBefore(ctx context.Context, version int64) error {
	if s.d != &sqliteDialect || version == 0 {
		return nil
	}
	to := filepath.Join(s.data, fmt.Sprintf("%s.before-schema-%d-%d", fileName, version, s.now().Unix()))
	return s.Backup(ctx, to)
}

// Backup writes a consistent copy of an embedded database to a file that does
// not exist yet, while everything goes on. PostgreSQL has its own tools.
func (s *Store) Backup(ctx context.Context, to string) error {
	if s.d != &sqliteDialect {
		return rapport.Invalidf("", "PostgreSQL is backed up with its own tools (pg_dump, base backups), see docs/operations.md")
	}
	if _, err := s.pools.quick.ExecContext(ctx, "VACUUM INTO $1", to); err != nil {
		return fmt.Errorf("copy the database to %s: %w", to, err)
	}
	return nil
}

// migrationLock lets one process at a time migrate an embedded database.
func (s *Store) migrationLock(ctx context.Context) (func(), error) {
	if s.d != &sqliteDialect {
		return func() {}, nil // the session lock of the provider does it
	}
	l, err := waitLock(ctx, filepath.Join(s.data, "migrate.lock"))
	if err != nil {
		return nil, fmt.Errorf("wait for another migration: %w", err)
	}
	return func() { _ = l.Release() }, nil
}

// errHeld says that another process holds a lock.
var errHeld = errors.New("held by another process")
