package bench

import (
	"os"
	"runtime"
	"syscall"
	"time"
)

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

// peakOf is the same of a process that has ended.
func peakOf(s *os.ProcessState) int64 {
	if s == nil {
		return 0
	}
	if u, ok := s.SysUsage().(*syscall.Rusage); ok {
		return octets(u.Maxrss)
	}
	return 0
}

// octets: Linux counts ru_maxrss in KiB, macOS in octets.
func octets(maxrss int64) int64 {
	if runtime.GOOS == "linux" {
		return maxrss << 10
	}
	return maxrss
}
