# Every command of this project. CI runs only these (.ci/run is `make test`).

CARGO ?= cargo
EXAMPLES := custom-plugin embed

# What `make run` builds. The dev profile starts within minutes of a fresh clone; release has one codegen unit and LTO,
# which takes many times as long to build. For real traffic: make run PROFILE=release.
PROFILE ?= dev

# Where Debian keeps servers, which users' PATH leaves out.
export PATH := $(PATH):/usr/sbin:/sbin

# Examples are workspaces of their own; with one target directory they share the dependencies they have in common.
export CARGO_TARGET_DIR := $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)

# How long `make fuzz` tries each parser.
FUZZ_SECONDS ?= 60

# The binary that the scripts ask.
export TIDEGATE := $(CARGO_TARGET_DIR)/debug/tidegate
run: export TIDEGATE := $(CARGO_TARGET_DIR)/$(if $(filter dev,$(PROFILE)),debug,$(PROFILE))/tidegate

.DEFAULT_GOAL := help
.PHONY: help run test lint fmt docs schema bench soak fuzz lock build examples

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: ## build, start the gateway with conf/quickstart.yaml, and show what to try
	@scripts/need run
	$(CARGO) build --profile $(PROFILE) --locked -p tidegate-bin
	@scripts/quickstart

test: ## install what tests need, check formatting, lint, build, run every test
	@scripts/need test
	$(CARGO) fmt --all --check
	$(MAKE) lint
	$(CARGO) test --workspace --locked --no-fail-fast
	$(MAKE) examples

lint: ## clippy and rustdoc without warnings, layering, generated files, example configs, wording
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --locked --quiet
	scripts/lint-layers
	scripts/lint-text
	$(MAKE) build
	scripts/generate --check
	scripts/check-conf
	scripts/lint-coverage

# All of the workspace in one go: packages by themselves would be built with other features, and so all over again.
build: # everything that tests need, the binary too
	$(CARGO) test --workspace --locked --no-run

examples: # built and tested as their authors would: by their own lock files
	@set -e; for example in $(EXAMPLES); do \
		echo "== examples/$$example"; \
		cd examples/$$example; \
		$(CARGO) fmt --check; \
		$(CARGO) clippy --all-targets --locked -- -D warnings; \
		$(CARGO) test --locked; \
		cd ../..; \
	done

fmt: ## format everything
	$(CARGO) fmt --all
	@set -e; for example in $(EXAMPLES); do (cd examples/$$example && $(CARGO) fmt); done

docs: build ## write the generated pages again: docs/plugins, docs/reference.md, docs/cli.md, the schema
	scripts/generate

schema: build ## write docs/schema/tidegate.json again
	scripts/generate schema

lock: ## after a change of dependencies: the lock files of examples follow the workspace's
	@set -e; for example in $(EXAMPLES); do \
		cp Cargo.lock examples/$$example/Cargo.lock; \
		$(CARGO) metadata --quiet --format-version 1 --manifest-path examples/$$example/Cargo.toml >/dev/null; \
	done

bench: ## what it costs: per plugin and hook, per route and limit, beside bare Pingora, nginx, HAProxy and Envoy
	@scripts/need bench
	$(CARGO) bench --locked -p tidegate-benches -p tidegate-ratelimit -p tidegate-auth -p tidegate-compress -p tidegate-cache
	$(CARGO) build --release --locked -p tidegate-bin -p tidegate-benches
	python3 benches/compare/compare.py --callgrind --bin $(CARGO_TARGET_DIR)/release
	python3 benches/compare/cached.py --bin $(CARGO_TARGET_DIR)/release
	python3 benches/compare/store.py --bin $(CARGO_TARGET_DIR)/release
	python3 benches/compare/balance.py --bin $(CARGO_TARGET_DIR)/release
	python3 benches/compare/logins.py --bin $(CARGO_TARGET_DIR)/release

soak: ## a reload every 100 ms for 30 s under load, and 1 GiB each way: no error, no growth
	@scripts/need bench
	$(CARGO) build --release --locked -p tidegate-bin
	python3 benches/compare/reload.py --bin $(CARGO_TARGET_DIR)/release
	TIDEGATE_STREAM_MIB=1024 $(CARGO) test --release --locked -p tidegate-tests --test process memory

fuzz: ## each parser for a minute; needs cargo-fuzz and a nightly toolchain
	cd fuzz && for target in $$(cd fuzz_targets && ls | sed 's/\.rs$$//'); do \
		mkdir -p corpus/$$target && \
		$(CARGO) +nightly fuzz run $$target corpus/$$target $$(ls -d seeds/$$target 2>/dev/null) -- \
			-dict=dictionaries/$$target.dict -max_len=20000 -max_total_time=$(FUZZ_SECONDS) || exit 1; \
	done
