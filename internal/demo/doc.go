// Package demo shows the whole house on one machine: it invents customers,
// starts real little servers for mail, chat and webhooks beside Rapport, sends
// three campaigns and compares the account with what the servers wrote down.
//
// It goes through the doors that people use: a configuration in YAML, a CSV
// file through the importer, templates and campaigns through their services.
// It refuses to reach beyond loopback, to write to a real address (all of them
// stand under example.com, example.org and example.net) and to call an account
// right that the receivers' own journals contradict.
package demo
