package bench

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// Report is what was measured once on one installation.
type Report struct {
	Machine     Machine `json:"machine"`
	Engine      string  `json:"engine"`
	Contacts    int     `json:"contacts"`
	Connections int     `json:"connections"` // of each process
	Workers     int     `json:"workers"`     // sending processes
	Rows        []Row   `json:"rows"`
}

// Machine is where it was measured.
type Machine struct {
	OS      string `json:"os"`
	Arch    string `json:"arch"`
	Cores   int    `json:"cores"`
	Go      string `json:"go"`
	Version string `json:"version"`
}

// Row is one thing measured. What is zero was not looked at.
type Row struct {
	Name   string        `json:"name"`
	Times  int           `json:"times"`            // how often it was done: people, messages
	Took   time.Duration `json:"took_ns"`          // all of them together, by the wall
	Late   time.Duration `json:"p99_ns,omitempty"` // what 99 of 100 stay below, where Took is a median
	CPU    time.Duration `json:"cpu_ns,omitempty"` // user and system
	Peak   int64         `json:"peak,omitempty"`   // octets of one process
	Allocs float64       `json:"allocs,omitempty"` // objects in all
}

// goal is what a row must reach and should reach, in words.
type goal struct{ title, must, aim string }

// goals are for two cores with everything on one machine, at a million people
// where the number counts.
func goalOf(row string) goal {
	switch row {
	case "Import":
		return goal{"import people with ten attributes", "1,000,000 in 60 s", "20 s"}
	case "Count":
		return goal{"count a segment of three conditions", "2 s of 1,000,000", "300 ms"}
	case "Single":
		return goal{"one message to one person, idle", "p50 20 ms, p99 60 ms", "p50 8 ms"}
	case "SingleBusy":
		return goal{"one message beside a campaign", "p99 1 s", ""}
	case "Send":
		return goal{"send a campaign, planning included", "12,000/s, 110 us, 256 MiB", "25,000/s, 50 us, 128 MiB"}
	case "RoundTrips":
		return goal{"send over 20 ms, 50 connections", "1,500/s", "2,000/s"}
	case "Plan":
		return goal{"plan a campaign", "1,000,000 in 10 s", "4 s"}
	case "Start":
		return goal{"start on open rows, until ready", "3 s with 1,000,000", "1 s"}
	case "StartToFirst":
		return goal{"start on open rows, until a message is out", "5 s", ""}
	}
	return goal{title: row}
}

// Print writes the table for people.
func (r Report) Print(w io.Writer) error {
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintf(out, "%s, %s, %d people, %d connections, %d sending, %d cores, %s\n\n", r.Machine.Version, r.Engine, r.Contacts, r.Connections, r.Workers, r.Machine.Cores, r.Machine.Go)
	_, _ = fmt.Fprintln(out, "WHAT\tTOOK\tRATE\tCPU EACH\tPEAK\tMUST REACH\tAIM")
	for _, row := range r.Rows {
		g := goalOf(row.Name)
		_, _ = fmt.Fprintf(out, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", g.title, row.took(), row.rate(), row.each(), row.peak(), g.must, g.aim)
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return nil
}

func (r Row) took() string {
	if r.Late > 0 {
		return fmt.Sprintf("p50 %.1f ms, p99 %.1f ms", r.Took.Seconds()*1e3, r.Late.Seconds()*1e3)
	}
	return r.Took.Round(time.Millisecond).String()
}

func (r Row) rate() string {
	if r.Times < 2 {
		return ""
	}
	return fmt.Sprintf("%.0f/s", float64(r.Times)/r.Took.Seconds())
}

func (r Row) each() string {
	if r.CPU == 0 {
		return ""
	}
	return fmt.Sprintf("%.1f us", float64(r.CPU.Nanoseconds())/1e3/float64(r.Times))
}

func (r Row) peak() string {
	if r.Peak == 0 {
		return ""
	}
	return fmt.Sprintf("%d MiB", r.Peak>>20)
}

// Benchmarks writes the rows as the lines that go test -bench prints and
// benchstat reads.
func (r Report) Benchmarks(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "goos: %s\ngoarch: %s\npkg: rapport\n", r.Machine.OS, r.Machine.Arch)
	for _, row := range r.Rows {
		fmt.Fprintf(&b, "BenchmarkRapport/%s/%s/people=%d/connections=%d/workers=%d-%d\t%d\t%.0f ns/op", row.Name, r.Engine, r.Contacts, r.Connections, r.Workers,
			r.Machine.Cores, row.Times, float64(row.Took.Nanoseconds())/float64(row.Times))
		if row.Late > 0 {
			fmt.Fprintf(&b, "\t%d p99-ns", row.Late.Nanoseconds())
		}
		if row.CPU > 0 {
			fmt.Fprintf(&b, "\t%.0f cpu-ns/op", float64(row.CPU.Nanoseconds())/float64(row.Times))
		}
		if row.Peak > 0 {
			fmt.Fprintf(&b, "\t%.1f peak-MiB", float64(row.Peak)/(1<<20))
		}
		if row.Allocs > 0 {
			fmt.Fprintf(&b, "\t%.0f allocs/op", row.Allocs/float64(row.Times))
		}
		b.WriteString("\n")
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return nil
}
