package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"rapport"
	"rapport/config"
	"rapport/internal/app"
	"rapport/internal/strictyaml"
)

func newConfigCommand(c *cli) *cobra.Command {
	return group("config", "the configuration: check, print, reference", `The configuration is one YAML file, and every key is an environment variable
as well.`,
		command("check", "say everything that is wrong with the configuration, with file, line and key",
			"rapport config check --config rapport.yaml", func(*cobra.Command, []string) error { return c.configCheck() }),
		command("print", "print the configuration in effect, with secrets hidden",
			"rapport config print --config rapport.yaml", func(*cobra.Command, []string) error { return c.configPrint() }),
		command("reference", "list every setting with its default and its environment variable",
			"rapport config reference", func(*cobra.Command, []string) error { return c.configReference() }),
	)
}

// checked is what config check says as JSON.
type checked struct {
	OK         bool        `json:"ok"`
	File       string      `json:"file"`
	Channels   int         `json:"channels"`
	Topics     int         `json:"topics"`
	Forms      int         `json:"forms"`
	Complaints []complaint `json:"complaints"`
}

type complaint struct {
	File   string `json:"file"`
	Line   int    `json:"line,omitempty"`
	Column int    `json:"column,omitempty"`
	Key    string `json:"key,omitempty"`
	Msg    string `json:"message"`
}

func (c *cli) configCheck() error {
	conf, err := c.load()
	if err == nil {
		err = app.CheckPages(conf)
	}
	out := checked{OK: err == nil, File: c.configFile(), Channels: len(conf.Channels), Topics: len(conf.Topics), Forms: len(conf.Forms), Complaints: []complaint{}}
	if err != nil && !c.json {
		return err
	}
	var list strictyaml.Complaints
	switch {
	case errors.As(err, &list):
		for _, one := range list {
			out.Complaints = append(out.Complaints, complaint(one))
		}
	case err != nil:
		out.Complaints = append(out.Complaints, complaint{File: out.File, Msg: err.Error()})
	}
	if err := c.show(out, func(w io.Writer) {
		name := out.File
		if name == "" {
			name = "The configuration without a file"
		}
		forms := ""
		if out.Forms > 0 {
			forms = ", " + count(out.Forms, "form", "forms")
		}
		_, _ = fmt.Fprintf(w, "%s is in order: %s, %s%s.\n", name, count(out.Channels, "channel", "channels"), count(out.Topics, "topic", "topics"), forms)
	}); err != nil || out.OK {
		return err
	}
	return saidError{rapport.Invalid}
}

func (c *cli) configPrint() error {
	conf, err := c.load()
	if err != nil {
		return err
	}
	text, err := config.Print(conf, c.drivers)
	if err != nil {
		return fmt.Errorf("print the configuration: %w", err)
	}
	if !c.json {
		_, err = c.stdout.Write(text)
		return err
	}
	raw, err := strictyaml.ToJSON("configuration", text)
	if err != nil {
		return fmt.Errorf("print the configuration: %w", err)
	}
	return c.show(raw, nil)
}

// setting is a line of config reference as JSON.
type setting struct {
	Name    string `json:"name"`
	Type    string `json:"type"`
	Default string `json:"default"`
	Help    string `json:"help"`
	Env     string `json:"env"`
}

func (c *cli) configReference() error {
	var list []setting
	for _, s := range config.Reference() {
		list = append(list, setting(s))
	}
	return c.show(list, func(w io.Writer) {
		t := newTable("KEY", "TYPE", "DEFAULT", "VARIABLE", "MEANING")
		for _, s := range list {
			t.row(s.Name, s.Type, dash(s.Default), dash(s.Env), s.Help)
		}
		t.write(w)
		_, _ = fmt.Fprintln(w, "\nA channel also has the settings of its driver: rapport channels describe DRIVER.")
	})
}
