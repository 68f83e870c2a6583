// Package config reads one YAML file and the environment, checks everything
// and returns one value. All complaints come at once, each with file, line and
// key, or with the name of the variable.
//
// Order: the defaults written in the struct tags, then the file, then the
// environment (RAPPORT_ and the key in capitals, dots and dashes as
// underscores; an empty variable counts as not set). A secret may come from a
// file named by the key with _file behind it.
//
// It knows no driver by name: a channel's settings stay raw, and the registry
// is asked what is wrong with them. It opens no connection, creates nothing,
// and reads no environment of its own: the caller hands it in.
package config
