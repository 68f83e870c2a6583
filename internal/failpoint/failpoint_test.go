//go:build failpoints

package failpoint_test

import (
	"os"
	"os/exec"
	"syscall"
	"testing"

	"rapport/internal/failpoint"
)

func TestKilledAtTheNthPassage(t *testing.T) {
	if os.Getenv("RAPPORT_FAILPOINT") != "" {
		for range 2 {
			failpoint.At("after_claim")
		}
		failpoint.At("after_intent")
		if _, err := os.Stdout.WriteString("two passed\n"); err != nil {
			t.Fatal(err)
		}
		failpoint.At("after_claim")
		return
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKilledAtTheNthPassage$")
	cmd.Env = append(os.Environ(), "RAPPORT_FAILPOINT=after_claim:3")
	out, err := cmd.Output()
	if err == nil {
		t.Fatal("the process lived")
	}
	status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if !ok || status.Signal() != syscall.SIGKILL {
		t.Fatalf("ended by %v, not by SIGKILL", cmd.ProcessState)
	}
	if string(out) != "two passed\n" {
		t.Fatalf("printed %q: killed at another passage", out)
	}
}
