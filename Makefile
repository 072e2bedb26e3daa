# The commands people type. `make` alone lists them.
CARGO ?= cargo
BIN := target/release/cleanloop

.PHONY: help build demo test test-slurm bench bench-selfcal install-demo-parts install-test-parts lint

help:
	@echo "make demo           build, simulate a small observation, self-calibrate it, say where the report is"
	@echo "make test           install what the tests need and run all of them"
	@echo "make test-slurm     the same for the Slurm scheduler, on a one-node Slurm of its own"
	@echo "make bench          time masks, noise maps and auto-multithresh against their peers"
	@echo "make bench-selfcal  whole campaigns on simulated fields, against true-position masks"
	@echo "make build          the release binary, $(BIN)"

build:
	$(CARGO) build --release

install-demo-parts:
	@scripts/install-packages.sh wsclean

demo: install-demo-parts build
	$(BIN) demo --output demo

install-test-parts:
	@scripts/install-packages.sh wsclean chromium
	$(CARGO) build
	target/debug/cleanloop setup casa
	scripts/python-environment.sh tests/requirements.txt target/test-venv

lint:
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets -- -D warnings

test: install-test-parts lint
	CLEANLOOP_REQUIRE_REAL=1 CLEANLOOP_ASTROPY_PYTHON=$(CURDIR)/target/test-venv/bin/python $(CARGO) test
