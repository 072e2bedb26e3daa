# The commands people type. `make` alone lists them.
CARGO ?= cargo
BIN := target/release/cleanloop

.PHONY: help build demo test bench bench-selfcal install-demo-parts install-test-parts lint

help:
	@echo "make demo           build, simulate a small observation, self-calibrate it, say where the report is"
	@echo "make test           install what the tests need and run all of them"
	@echo "make bench          time masks, noise maps and auto-multithresh against their peers"
	@echo "make bench-selfcal  compare automatic masks with masks at the true positions, on simulated fields (long)"
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
	target/debug/cleanloop setup quartical
	scripts/python-environment.sh tests/requirements.txt target/test-venv

lint:
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets -- -D warnings

test: install-test-parts lint
	CLEANLOOP_REQUIRE_REAL=1 CLEANLOOP_ASTROPY_PYTHON=$(CURDIR)/target/test-venv/bin/python $(CARGO) test

bench: build
	benches/run_masks.sh
	benches/run_automask.sh
	benches/run_noise.sh

bench-selfcal: install-demo-parts
	benches/run_selfcal.sh
