# What one does here. Tools are pinned in .ci/tools and live outside the
# checkout; building and testing need Go only.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

GO       ?= go
TIMEOUT  ?= 10m
FUZZTIME ?= 20s
# How many benchmarks of the saved runs are compared: two files of `make bench`.
OLD      ?= $(firstword $(wildcard testdata/bench/*.txt))
NEW      ?= .cache/bench.txt

.PHONY: help build test chaos lint bench bench-compare demo cover fuzz generate tidy

help: ## list what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

build: ## build bin/rapport, one static binary
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/rapport ./cmd/rapport

test: ## all tests; RAPPORT_TEST_REDIS and RAPPORT_TEST_POSTGRES bring in real servers
	@$(GO) run ./internal/testreport -count=1 -timeout $(TIMEOUT) ./...

chaos: ## RAPPORT_CHAOS_ROUNDS (200) rounds of kills, cuts and outages on each engine, from RAPPORT_CHAOS_SEED
	$(GO) test -tags chaos ./e2e -run '^TestChaos$$' -count=1 -v -timeout 0

lint: ## formatting, vet and the linters
	@gofumpt=$$(.ci/tools gofumpt); unformatted=$$("$$gofumpt" -l .); \
	if [ -n "$$unformatted" ]; then echo "not formatted (run gofumpt -w):"; echo "$$unformatted"; exit 1; fi
	$(GO) vet ./...
	@golangci=$$(.ci/tools golangci-lint); "$$golangci" run ./...

bench: ## every benchmark and rapport bench, five times, into .cache/bench.txt
	@mkdir -p .cache
	$(GO) test -run '^$$' -bench . -benchmem -count 5 -timeout 60m ./... | tee .cache/bench.txt
	$(GO) build -o .cache/rapport ./cmd/rapport
	.cache/rapport bench --count 5 --benchstat --quiet | tee -a .cache/bench.txt

bench-compare: ## compare OLD=file (the committed run by default) with NEW=file (the last make bench)
	@[ -n "$(OLD)" ] && [ -f "$(OLD)" ] || { echo "no saved run: give OLD=file, written by make bench"; exit 2; }
	@[ -f "$(NEW)" ] || { echo "$(NEW) is not there: run make bench first"; exit 2; }
	@benchstat=$$(.ci/tools benchstat); "$$benchstat" "$(OLD)" "$(NEW)"

demo: ## everything in one process with sample customers; Ctrl-C ends it
	$(GO) run ./cmd/rapport demo

cover: ## which lines the tests reach, as .cache/cover.html
	@mkdir -p .cache
	$(GO) test -count=1 -timeout $(TIMEOUT) -coverpkg=./... -coverprofile=.cache/cover.out ./...
	$(GO) tool cover -html=.cache/cover.out -o .cache/cover.html
	$(GO) tool cover -func=.cache/cover.out | tail -1

fuzz: ## every fuzz target for FUZZTIME
	@grep -rlE '^func Fuzz[A-Z]' --include='*_test.go' . | xargs -n1 dirname | sort -u | while read -r dir; do \
		grep -hoE '^func Fuzz[A-Za-z0-9_]+' "$$dir"/*_test.go | cut -c6- | while read -r target; do \
			echo "$$dir $$target"; \
			$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) "$$dir"; \
		done; \
	done

generate: ## write generated code and the settings reference again
	$(GO) generate ./...
	$(GO) test ./config -run SettingsPage -update

tidy: ## go.mod and go.sum as the imports need them
	$(GO) mod tidy
