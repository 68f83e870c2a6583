package e2e

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"testing"
	"time"
)

// startDovecot opens the maildir of a Postfix to whoever knows the password, by
// IMAP with TLS on a free port of loopback, and returns the URL of the mailbox
// and the file of its certificate. It needs Debian's Dovecot and root; without
// them the test is skipped.
func startDovecot(t testing.TB, p *postfix) (url, ca string) {
	t.Helper()
	path, err := exec.LookPath("dovecot")
	if err != nil || os.Geteuid() != 0 {
		t.Skip("does not apply: Dovecot is not installed, or this is not root")
	}
	cert, key := selfSigned(t)
	port := freePort(t)
	conf := fmt.Sprintf(`protocols = imap
listen = 127.0.0.1
base_dir = %[1]s/dovecot
state_dir = %[1]s/dovecot
log_path = %[1]s/log/dovecot
ssl = required
ssl_cert = <%[1]s/etc/cert.pem
ssl_key = <%[1]s/etc/key.pem
mail_location = maildir:%[1]s/mail/all
first_valid_uid = 1
first_valid_gid = 1
passdb {
  driver = static
  args = password=canary-mailbox
}
userdb {
  driver = static
  args = uid=%[2]s gid=%[3]s home=%[1]s/mail
}
service imap-login {
  chroot =
  inet_listener imap {
    port = 0
  }
  inet_listener imaps {
    port = %[4]s
  }
}
`, p.dir, p.id("-u"), p.id("-g"), port)
	for name, text := range map[string]string{"etc/dovecot.conf": conf, "etc/cert.pem": cert, "etc/key.pem": key} {
		if err := os.WriteFile(p.path(name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	d := launch(t, "dovecot", p.dir, nil, path, "-F", "-c", p.path("etc/dovecot.conf"))
	t.Cleanup(func() { d.stop() }) // it ends its children, which a kill does not
	eventually(t, "Dovecot answers", patience, 100*time.Millisecond, func() bool {
		conn, err := net.DialTimeout("tcp", "127.0.0.1:"+port, time.Second)
		if err != nil {
			return false
		}
		return conn.Close() == nil
	})
	return "imaps://anyone:canary-mailbox@127.0.0.1:" + port, p.path("etc/cert.pem")
}
