package e2e

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// postfix is a private instance of Debian's Postfix on a free port of the
// loopback: its own configuration, queue and log. It takes mail for anybody
// and puts it into the maildir of one user, or throws it away.
type postfix struct {
	t         testing.TB
	dir, addr string
}

// startPostfix needs root, the program and the user postfix; without them the
// test is skipped. transport is discard: or virtual: (a maildir); more are lines
// of main.cf.
func startPostfix(t testing.TB, transport string, more ...string) *postfix {
	t.Helper()
	path, err := exec.LookPath("postfix")
	if err != nil || os.Geteuid() != 0 {
		t.Skip("does not apply: Postfix is not installed, or this is not root")
	}
	// Not below the test's own folder: other users have to get in.
	dir, err := os.MkdirTemp("", "rapport-postfix-") //nolint:usetesting // the test's own folder is closed to them
	if err != nil {
		t.Fatal(err)
	}
	p := &postfix{t: t, dir: dir}
	port := freePort(t)
	p.addr = net.JoinHostPort("127.0.0.1", port)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"etc/main.cf": p.main(transport) + strings.Join(more, ""), "etc/master.cf": p.master(port), "etc/mailboxes": "/./ all/\n"} {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"queue", "data", "log", "mail"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	p.own("data")
	p.own("mail")
	t.Cleanup(func() {
		if out, err := exec.Command(path, "-c", p.path("etc"), "stop").CombinedOutput(); err != nil {
			t.Errorf("stop Postfix: %v\n%s", err, out)
		}
		_ = os.RemoveAll(dir)
	})
	if out, err := exec.Command(path, "-c", p.path("etc"), "start").CombinedOutput(); err != nil {
		t.Fatalf("start Postfix: %v\n%s", err, out)
	}
	eventually(t, "Postfix answers", patience, 100*time.Millisecond, func() bool {
		conn, err := net.DialTimeout("tcp", p.addr, time.Second)
		if err != nil {
			return false
		}
		defer func() { _ = conn.Close() }()
		_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
		line, err := bufio.NewReader(conn).ReadString('\n')
		return err == nil && line[:3] == "220"
	})
	return p
}

func (p *postfix) path(name string) string { return filepath.Join(p.dir, name) }

// own gives a folder to the user postfix.
func (p *postfix) own(name string) {
	p.t.Helper()
	if out, err := exec.Command("chown", "postfix:", p.path(name)).CombinedOutput(); err != nil {
		p.t.Fatalf("chown: %v\n%s", err, out)
	}
}

func (p *postfix) main(transport string) string {
	return fmt.Sprintf(`compatibility_level = 3.6
queue_directory = %[1]s/queue
data_directory = %[1]s/data
maillog_file = %[1]s/log/mail
maillog_file_prefixes = %[1]s
myhostname = mx.example.test
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
alias_maps =
alias_database =
local_recipient_maps =
smtpd_tls_security_level = none
smtp_tls_security_level = none
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_client_connection_count_limit = 0
smtpd_peername_lookup = no
smtputf8_enable = yes
default_transport = %[2]s
default_destination_concurrency_limit = 50
virtual_transport = virtual
virtual_mailbox_base = %[1]s/mail
virtual_mailbox_maps = regexp:%[1]s/etc/mailboxes
virtual_mailbox_domains = regexp:%[1]s/etc/mailboxes
virtual_mailbox_limit = 0
virtual_minimum_uid = 1
virtual_uid_maps = static:%[3]s
virtual_gid_maps = static:%[4]s
`, p.dir, transport, p.id("-u"), p.id("-g"))
}

func (p *postfix) id(flag string) string {
	p.t.Helper()
	out, err := exec.Command("id", flag, "postfix").Output()
	if err != nil {
		p.t.Skip("does not apply: there is no user postfix")
	}
	n, err := strconv.Atoi(string(out[:len(out)-1]))
	if err != nil {
		p.t.Fatal(err)
	}
	return strconv.Itoa(n)
}

func (p *postfix) master(port string) string {
	return `127.0.0.1:` + port + ` inet n - n - 100 smtpd
pickup    unix  n - n 60 1 pickup
cleanup   unix  n - n - 0 cleanup
qmgr      unix  n - n 300 1 qmgr
rewrite   unix  - - n - - trivial-rewrite
bounce    unix  - - n - 0 bounce
defer     unix  - - n - 0 bounce
trace     unix  - - n - 0 bounce
verify    unix  - - n - 1 verify
flush     unix  n - n 1000? 0 flush
proxymap  unix  - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp      unix  - - n - - smtp
relay     unix  - - n - - smtp
showq     unix  n - n - - showq
error     unix  - - n - - error
retry     unix  - - n - - error
discard   unix  - - n - - discard
virtual   unix  - n n - - virtual
anvil     unix  - - n - 1 anvil
scache    unix  - - n - 1 scache
postlog   unix-dgram n - n - 1 postlogd
`
}
