package e2e

import (
	"bufio"
	"context"
	"crypto/rand"
	"database/sql"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver that makes databases and reads rows

	"rapport/internal/testkit"
)

// ports are those that systems do not give to outgoing connections, so that
// nobody takes one while its server is not there yet, or not just now.
var ports = struct {
	sync.Mutex
	next int
}{next: 12000 + os.Getpid()%18000}

// freePort is a port of the loopback that nobody listens at now; no other test
// of this run gets it.
func freePort(t testing.TB) string {
	t.Helper()
	ports.Lock()
	defer ports.Unlock()
	for range 1000 {
		ports.next++
		if ports.next >= 32000 {
			ports.next = 12000
		}
		port := strconv.Itoa(ports.next)
		l, err := net.Listen("tcp", "127.0.0.1:"+port)
		if err == nil {
			_ = l.Close()
			return port
		}
	}
	t.Fatal("no port is free")
	return ""
}

// eventually asks again until done says yes. It is for things outside our
// reach that give no signal.
func eventually(t testing.TB, what string, limit, pause time.Duration, done func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); !done(); time.Sleep(pause) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within %v", what, limit)
		}
	}
}

// redisServer is a Redis of the test's own, which may be flushed, killed and
// started again on the same port with the same files.
type redisServer struct {
	t         testing.TB
	dir, port string
	p         *process
}

// startRedis needs the program redis-server; without it the test is skipped.
func startRedis(t testing.TB) *redisServer {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Skip("redis-server is not installed: not run with a real Redis")
	}
	s := &redisServer{t: t, dir: t.TempDir(), port: freePort(t)}
	s.start()
	return s
}

func (s *redisServer) url() string { return "redis://127.0.0.1:" + s.port + "/0" }

// start starts the server on its files.
func (s *redisServer) start() {
	s.t.Helper()
	s.p = launch(s.t, "redis", s.dir, nil, "redis-server", "--bind", "127.0.0.1", "--port", s.port, "--dir", s.dir,
		"--appendonly", "yes", "--maxmemory-policy", "noeviction", "--save", "")
	eventually(s.t, "redis answers", patience, 20*time.Millisecond, func() bool {
		answer, err := s.ask("PING")
		return err == nil && answer == "+PONG"
	})
}

// kill ends the server as a power cut would.
func (s *redisServer) kill() { s.p.kill() }

// flush throws everything away.
func (s *redisServer) flush() {
	s.t.Helper()
	if answer, err := s.ask("FLUSHALL"); err != nil || answer != "+OK" {
		s.t.Fatalf("FLUSHALL: %q, %v", answer, err)
	}
}

// ask sends one command of words without blanks and returns the first line of
// the answer.
func (s *redisServer) ask(command string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", "127.0.0.1:"+s.port)
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close() }()
	if _, err := fmt.Fprintf(conn, "%s\r\n", command); err != nil {
		return "", err
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	return strings.TrimSpace(line), err
}

// newDatabase makes an empty PostgreSQL database that is dropped after the
// test, and returns its address. Without a server the test is skipped.
func newDatabase(t testing.TB) string {
	t.Helper()
	address := os.Getenv(testkit.PostgresVariable)
	if address == "" {
		t.Skipf("%s is not set: not run on PostgreSQL", testkit.PostgresVariable)
	}
	db, err := sql.Open("pgx", address)
	if err != nil {
		t.Fatal(err)
	}
	name := "e2e_" + strings.ToLower(rand.Text())
	if _, err := db.ExecContext(t.Context(), "CREATE DATABASE "+name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := db.ExecContext(context.Background(), "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			t.Errorf("drop database %s: %v", name, err)
		}
		_ = db.Close()
	})
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + name
	return u.String()
}
