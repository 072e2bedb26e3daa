# What the benchmarks share; each run_*.sh reads it first: `. "$(dirname "$0")/common.sh"`. It goes to the checkout, builds
# the release program, and defines what is below.
set -eu
cd "$(dirname "$0")/.."
cargo build --release --bin cleanloop

# environment REQUIREMENTS FOLDER: makes a Python environment with the pinned packages, once.
environment() { scripts/python-environment.sh "$1" "$2"; }

# bench_program NAME: builds a benchmark of Cargo.toml and prints the path of its program.
bench_program() {
    cargo bench --no-run --bench "$1" --message-format=json |
        sed -n "s|.*\"name\":\"$1\".*\"executable\":\"\\([^\"]*\\)\".*|\\1|p"
}

# machine [REQUIREMENTS]: the line that goes above the tables.
machine() {
    packages=${1:+"; $(tr '\n' ' ' <"$1")"}
    echo "Machine: $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1), $(nproc) cores, load $(cut -d' ' -f1 /proc/loadavg)$packages"
}
