package channels

import (
	"fmt"
	"slices"

	"rapport"
)

// Registry is the set of drivers this binary knows. There is no global one.
type Registry struct {
	byName map[string]Driver
	names  []string
}

// NewRegistry makes a registry; two drivers of one name, or one without a
// name or a way to normalise its addresses, are refused.
func NewRegistry(drivers ...Driver) (*Registry, error) {
	r := &Registry{byName: make(map[string]Driver, len(drivers))}
	for _, d := range drivers {
		if d.Name == "" || d.Address.Kind == "" || d.Address.Normalize == nil || d.open == nil {
			return nil, fmt.Errorf("driver %q is incomplete: it needs a name, an address kind and Define", d.Name)
		}
		if _, twice := r.byName[d.Name]; twice {
			return nil, fmt.Errorf("two drivers are named %q", d.Name)
		}
		r.byName[d.Name] = d
		r.names = append(r.names, d.Name)
	}
	slices.Sort(r.names)
	return r, nil
}

// Driver returns the driver of that name; an unknown one is an error that
// lists the known.
func (r *Registry) Driver(name string) (Driver, error) {
	d, ok := r.byName[name]
	if !ok {
		return Driver{}, rapport.Unknown("driver", name, r.names)
	}
	return d, nil
}

// Drivers returns all drivers by name.
func (r *Registry) Drivers() []Driver {
	out := make([]Driver, 0, len(r.names))
	for _, n := range r.names {
		out = append(out, r.byName[n])
	}
	return out
}

// AddressKinds returns every kind of address some driver reaches, once each,
// and the phone, which every contact may have.
func (r *Registry) AddressKinds() []Address {
	out := []Address{Phone}
	for _, n := range r.names {
		a := r.byName[n].Address
		if !slices.ContainsFunc(out, func(b Address) bool { return b.Kind == a.Kind }) {
			out = append(out, a)
		}
	}
	slices.SortFunc(out, func(a, b Address) int {
		if a.Kind < b.Kind {
			return -1
		}
		return 1
	})
	return out
}
