package all_test

import (
	"testing"

	"rapport/channels"
	"rapport/channels/all"
)

// TestDriversFitTogether: the list makes a registry, and what other rooms draw
// from a driver is there.
func TestDriversFitTogether(t *testing.T) {
	r, err := channels.NewRegistry(all.Drivers()...)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range r.Drivers() {
		if d.Help == "" || d.Traits.Concurrency < 1 || len(d.Parts) == 0 || len(d.Fields) == 0 {
			t.Errorf("driver %s lacks a help, a concurrency, parts or settings", d.Name)
		}
		required := false
		for _, p := range d.Parts {
			required = required || p.Required
			if p.Name == "" || p.Help == "" {
				t.Errorf("driver %s: part %q has no help", d.Name, p.Name)
			}
		}
		if !required {
			t.Errorf("driver %s asks for no part", d.Name)
		}
		for _, f := range d.Fields {
			if f.Help == "" {
				t.Errorf("driver %s: setting %q has no help", d.Name, f.Name)
			}
		}
	}
}
