// Package all lists the drivers of this binary: the one place that names them
// all. It does nothing else; adding a channel adds its line here.
package all
