package imap_test

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"rapport/inbox/imap"
	"rapport/internal/fake/imapd"
)

// liar is a server that says what it likes about which mails there are. It
// tells which of them it is asked for.
func liar(t *testing.T, found string) (*net.TCPListener, <-chan string) {
	t.Helper()
	listen, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listen.Close() })
	asked := make(chan string, 100)
	go func() {
		for {
			c, err := listen.Accept()
			if err != nil {
				return
			}
			go lie(c, found, asked)
		}
	}()
	return listen, asked
}

func lie(c net.Conn, found string, asked chan<- string) {
	defer func() { _ = c.Close() }()
	_, _ = fmt.Fprint(c, "* OK [CAPABILITY IMAP4rev2] hello\r\n")
	for lines := bufio.NewScanner(c); lines.Scan(); {
		tag, command, _ := strings.Cut(lines.Text(), " ")
		switch {
		case strings.HasPrefix(command, "SELECT"):
			_, _ = fmt.Fprint(c, "* 3 EXISTS\r\n* OK [UIDVALIDITY 7] valid\r\n")
		case strings.HasPrefix(command, "UID SEARCH"):
			_, _ = fmt.Fprintf(c, "* ESEARCH (TAG %q) UID ALL %s\r\n", tag, found)
		case strings.HasPrefix(command, "UID FETCH"):
			select {
			case asked <- strings.Fields(command)[2]:
			default:
				return // it has been seen
			}
		}
		if _, err := fmt.Fprintf(c, "%s OK done\r\n", tag); err != nil {
			return
		}
	}
}

// TestLyingServer: what a server says about its mails neither ends the process
// nor fills its memory.
func TestLyingServer(t *testing.T) {
	set := func(l *net.TCPListener) imap.Settings {
		return imap.Settings{
			Name: "answers", Host: "127.0.0.1", Addr: l.Addr().String(), User: imapd.User, Password: func() string { return imapd.Password },
			Security: imap.None, Folder: "INBOX", Every: time.Minute,
		}
	}
	t.Run("mails without an end", func(t *testing.T) {
		l, _ := liar(t, "1:*")
		r := start(t, set(l), newClerk())
		defer stop(t, r)
		for deadline := time.Now().Add(20 * time.Second); r.State().Err == nil; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("it is believed")
			}
		}
	})
	t.Run("four thousand million mails", func(t *testing.T) {
		l, asked := liar(t, "5:4294967295,2:3")
		r := start(t, set(l), newClerk())
		defer stop(t, r)
		for _, want := range []string{"2", "3", "5"} {
			select {
			case uid := <-asked:
				if uid != want {
					t.Errorf("asked for %s, want %s", uid, want)
				}
			case <-time.After(20 * time.Second):
				t.Fatal("nothing is read")
			}
		}
	})
}
