# The commands people type. `make` alone lists them.
CARGO ?= cargo
BIN := target/release/cleanloop

SLURM_TEST := $(CARGO) test --test suite batch::slurm:: -- --include-ignored --test-threads 1 --nocapture
# Tests that `make test` leaves out: those of `make test-slurm`, and one that needs DP3 where CLEANLOOP_DP3 does not name it.
LEFT_OUT := --skip batch::slurm:: $(if $(CLEANLOOP_DP3),,--skip the_example_with_dp3)

.PHONY: help build demo test test-fast fuzz test-slurm test-slurm-full bench bench-selfcal install-demo-parts install-test-parts \
	install-slurm-parts lint lint-python test-workers workers-venv test-python wheel docs release test-release test-pipelines

help:
	@echo "make demo           build, simulate a small observation, self-calibrate it, say where the report is"
	@echo "make test           install what the tests need and run all of them"
	@echo "make test-fast      formatting, and the small tests that need no other program: less than a minute after the build"
	@echo "make test-slurm     start a Slurm of one node, test campaigns on it, stop it"
	@echo "make test-slurm-full the same with 2,000 measurement sets"
	@echo "make test-workers   test the sources of the CASA worker, without CASA"
	@echo "make test-python    build the Python package, install it and test it"
	@echo "make fuzz           damage images, region files, campaign files, journals and records for ten minutes each"
	@echo "make wheel          the Python package as a wheel, in target/wheels"
	@echo "make docs           the documentation's site, in target/docs/site; every link is checked"
	@echo "make release        wheel, source archive, completions, manual pages, checksums, changelog, in target/release-files"
	@echo "make test-release   install the wheel where there is no Rust, and follow the guides to the letter"
	@echo "make test-pipelines have the parts for pipelines looked at by their own tools"
	@echo "make bench          time masks, noise maps, auto-multithresh and major cycles against their peers, renew the tables"
	@echo "make bench-selfcal  self-calibrate simulated and real data with the defaults, against the truth (long)"
	@echo "make build          the release binary, $(BIN)"

build:
	$(CARGO) build --release

install-demo-parts:
	@scripts/install-packages.sh wsclean

demo: install-demo-parts build
	$(BIN) demo --output demo

install-test-parts:
	@scripts/install-packages.sh wsclean chromium faketime
	$(CARGO) build
	target/debug/cleanloop setup casa
	target/debug/cleanloop setup quartical
	target/debug/cleanloop setup dp3
	target/debug/cleanloop setup mpi
	scripts/python-environment.sh tests/requirements.txt target/test-venv

lint: lint-python
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --no-deps

# The checks and tests of the CASA worker's sources need no CASA.
WORKERS_VENV := $(CURDIR)/target/workers-venv

workers-venv:
	@scripts/python-environment.sh workers/tests/requirements.txt $(WORKERS_VENV)

lint-python: workers-venv
	cd workers && $(WORKERS_VENV)/bin/ruff format --check . && $(WORKERS_VENV)/bin/ruff check . && $(WORKERS_VENV)/bin/mypy

test-workers: workers-venv
	cd workers && $(WORKERS_VENV)/bin/python -B -m pytest -q

# Cases for about ten minutes on two cores; CASES=N for another number.
fuzz:
	PROPTEST_CASES=$(or $(CASES),200000) $(CARGO) test --release --lib does_harm -- --include-ignored

# One test more than processors at a time: some wait, for timers of stand-ins or for programs that begin.
test: install-test-parts lint test-workers
	RUST_TEST_THREADS=$$(($$(nproc) + 1)) CLEANLOOP_ASTROPY_PYTHON=$(CURDIR)/target/test-venv/bin/python $(CARGO) test -- --include-ignored $(LEFT_OUT)

# The small tests that need no other program; of the reference results, only the selection in the repository.
test-fast:
	$(CARGO) fmt --all --check
	CLEANLOOP_GOLDEN=none $(CARGO) test --quiet

install-slurm-parts:
	@scripts/install-packages.sh slurm-wlm:slurmctld munge:munged

test-slurm: install-slurm-parts
	$(CARGO) test --test suite --no-run
	scripts/test-slurm.sh $(SLURM_TEST)

test-slurm-full: install-slurm-parts
	$(CARGO) test --test suite --no-run
	CLEANLOOP_TEST_SLURM_SETS=2000 LOCAL_SLURM_MAX_ARRAY=1001 scripts/test-slurm.sh $(SLURM_TEST)

test-python:
	scripts/test-python.sh

wheel:
	scripts/python-environment.sh python/tests/requirements.txt target/python-test-venv
	target/python-test-venv/bin/maturin build --release --interpreter target/python-test-venv/bin/python

# Renews the tables of docs/benchmarks.md; `make bench RELEASE=1` also keeps the ratios that later runs are compared with.
bench: build install-demo-parts
	python3 benches/run_all.py $(if $(RELEASE),--release)

bench-selfcal: install-demo-parts
	benches/run_selfcal.sh

# The site of the documentation. mdBook comes from the package index: nothing is compiled.
docs:
	$(CARGO) build
	scripts/python-environment.sh docs/requirements.txt target/docs-venv
	python3 scripts/docs.py target/debug/cleanloop target/docs-venv/bin/mdbook target/docs

release:
	scripts/release.sh

test-release:
	scripts/test-release.sh

test-pipelines:
	scripts/test-pipelines.sh
