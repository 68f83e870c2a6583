package bench

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// CPU is the processor time a process has used so far, user and system: to
// the hundredth of a second where the system tells it of a living one, else 0.
func CPU(cmd *exec.Cmd) time.Duration {
	if s := cmd.ProcessState; s != nil {
		return s.UserTime() + s.SystemTime()
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", cmd.Process.Pid))
	if err != nil {
		return 0
	}
	_, rest, _ := bytes.Cut(stat, []byte(") ")) // the name before may hold blanks
	fields := strings.Fields(string(rest))
	if len(fields) < 13 {
		return 0
	}
	var ticks int64
	for _, f := range fields[11:13] { // utime and stime of proc_pid_stat(5)
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0
		}
		ticks += n
	}
	return time.Duration(ticks) * time.Second / 100 // USER_HZ
}

// Peak is the most memory a process has had at once, in octets; of a living
// one where the system tells it, else 0.
func Peak(cmd *exec.Cmd) int64 {
	if s := cmd.ProcessState; s != nil {
		if u, ok := s.SysUsage().(*syscall.Rusage); ok {
			return octets(u.Maxrss)
		}
		return 0
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", cmd.Process.Pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			if err != nil {
				return 0
			}
			return kib << 10
		}
	}
	return 0
}

// used is the processor time of this process so far, user and system.
func used() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// most is the most memory this process has had at once, in octets.
func most() int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return octets(u.Maxrss)
}

// octets: Linux counts ru_maxrss in KiB, macOS in octets.
func octets(maxrss int64) int64 {
	if runtime.GOOS == "linux" {
		return maxrss << 10
	}
	return maxrss
}
