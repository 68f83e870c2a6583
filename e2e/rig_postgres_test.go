package e2e

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// postgresServer is a PostgreSQL of the test's own, which may be stopped and
// continued with all its processes, or killed.
type postgresServer struct {
	t         testing.TB
	dir, port string
	bin       string
	owner     *syscall.Credential // as root the server refuses to run
	p         *process
}

// startPostgres needs the programs of PostgreSQL; without them the test is
// skipped.
func startPostgres(t testing.TB) *postgresServer {
	t.Helper()
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb") // the pattern is a good one
	if path, err := exec.LookPath("initdb"); err == nil {
		found = append(found, path)
	}
	if len(found) == 0 {
		t.Skip("PostgreSQL is not installed: not run with a server of the test's own")
	}
	// Not below the test's own folder: another user has to get in.
	dir, err := os.MkdirTemp("", "rapport-postgres-") //nolint:usetesting // the test's own folder is closed to others
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	s := &postgresServer{t: t, dir: dir, port: freePort(t), bin: filepath.Dir(found[len(found)-1])}
	if os.Geteuid() == 0 {
		s.owner = postgresUser(t)
		if err := os.Chown(dir, int(s.owner.Uid), int(s.owner.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), filepath.Join(s.bin, "initdb"), "-D", s.data(), "-U", "rapport", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync")
	cmd.Dir, cmd.SysProcAttr = dir, s.leash()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	s.start()
	return s
}

func postgresUser(t testing.TB) *syscall.Credential {
	t.Helper()
	u, err := user.Lookup("postgres")
	if err != nil {
		t.Skipf("no user postgres: not run with a PostgreSQL of the test's own")
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

func (s *postgresServer) leash() *syscall.SysProcAttr {
	attr := leash()
	if attr == nil {
		attr = &syscall.SysProcAttr{}
	}
	attr.Credential = s.owner
	return attr
}

func (s *postgresServer) data() string { return filepath.Join(s.dir, "data") }

func (s *postgresServer) address(database string) string {
	return fmt.Sprintf("postgres://rapport@127.0.0.1:%s/%s?sslmode=disable", s.port, database)
}

func (s *postgresServer) start() {
	s.t.Helper()
	s.p = launchAs(s.t, "postgres", s.dir, nil, s.leash(), filepath.Join(s.bin, "postgres"), "-D", s.data(), "-h", "127.0.0.1", "-p", s.port, "-k", s.dir, "-c", "fsync=off", "-c", "max_connections=200")
	eventually(s.t, "postgres answers", patience, 20*time.Millisecond, func() bool { return s.ping() == nil })
}

func (s *postgresServer) ping() error {
	db, err := sql.Open("pgx", s.address("postgres"))
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	return db.PingContext(ctx)
}

// freeze stops the server with all its sessions; thaw lets them go on.
func (s *postgresServer) freeze() { s.signal(syscall.SIGSTOP) }
func (s *postgresServer) thaw()   { s.signal(syscall.SIGCONT) }

// signal reaches the server first and then each of its children.
func (s *postgresServer) signal(sig syscall.Signal) {
	s.t.Helper()
	pid := s.p.cmd.Process.Pid
	children := childrenOf(pid)
	if sig == syscall.SIGCONT {
		slices.Reverse(children)
	}
	for _, one := range append([]int{pid}, children...) {
		_ = syscall.Kill(one, sig) // it may have ended meanwhile
	}
}

// childrenOf lists the processes that a process has started.
func childrenOf(pid int) []int {
	var out []int
	stats, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is a good one
	for _, file := range stats {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // ended meanwhile
		}
		// The name in brackets may hold anything; state and parent follow it.
		fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
		if len(fields) > 1 && fields[1] == strconv.Itoa(pid) {
			if child, err := strconv.Atoi(filepath.Base(filepath.Dir(file))); err == nil {
				out = append(out, child)
			}
		}
	}
	return out
}

// database makes an empty database of the server and returns its address.
func (s *postgresServer) database(name string) string {
	s.t.Helper()
	db, err := sql.Open("pgx", s.address("postgres"))
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if _, err := db.ExecContext(s.t.Context(), "CREATE DATABASE "+name); err != nil {
		s.t.Fatal(err)
	}
	return s.address(name)
}
