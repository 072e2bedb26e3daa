#!/bin/sh
# The parts for pipelines, each looked at by its own tool: Snakemake plans a run, Stimela loads the cab, cleanloop checks the
# site's campaign file. Nextflow is used where it is installed.
set -eu
cd "$(dirname "$0")/.."
program=${1:-target/debug/cleanloop}
scripts/python-environment.sh pipelines/snakemake-requirements.txt target/snakemake-venv
scripts/python-environment.sh pipelines/stimela-requirements.txt target/stimela-venv
folder=target/pipelines-test
rm -rf "$folder"
mkdir -p "$folder/data/field.ms"
: > "$folder/data/field.ms/table.dat"

target/snakemake-venv/bin/snakemake --snakefile pipelines/Snakefile --directory "$folder" --cores 2 --dry-run > "$folder/plan.txt" 2>&1 ||
    { cat "$folder/plan.txt"; exit 1; }
grep -q 'selfcal/field/report/summary.json' "$folder/plan.txt"

cat > "$folder/recipe.yml" <<END
_include: [$PWD/pipelines/stimela.yml]
recipe:
  info: one campaign
  inputs:
    ms: {dtype: "List[MS]", required: true}
  steps:
    selfcal: {cab: cleanloop-run, params: {ms: =recipe.ms, output: out, rounds: 3, set: [campaign.imager=wsclean]}}
END
(cd "$folder" && ../stimela-venv/bin/stimela doc recipe.yml > stimela.txt 2>&1) || { cat "$folder/stimela.txt"; exit 1; }

"$program" validate --file-only pipelines/slurm-site.yaml
if command -v nextflow > /dev/null; then nextflow inspect pipelines/selfcal.nf; fi
echo "3 passed, 0 failed"
