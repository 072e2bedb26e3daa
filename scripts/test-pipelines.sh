#!/bin/sh
# The parts for pipelines: Snakemake plans a run, Stimela loads the cab, cleanloop checks the site's campaign file. Nextflow and
# apptainer are in none of the package registries and used where they are installed; else the Nextflow module is evaluated as
# the Groovy that it is and its script run on a stand-in of cleanloop, and spython reads the container's definition.
set -eu
cd "$(dirname "$0")/.."
program=${1:-target/debug/cleanloop}
scripts/python-environment.sh pipelines/snakemake-requirements.txt target/snakemake-venv
scripts/python-environment.sh pipelines/stimela-requirements.txt target/stimela-venv
scripts/python-environment.sh pipelines/apptainer-requirements.txt target/spython-venv
scripts/install-packages.sh groovy
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

# Exit codes 0 and 4 (it diverged, its best round was kept) are no failures.
groovy scripts/nextflow_process.groovy pipelines/selfcal.nf field.ms 2 > "$folder/nextflow.sh"
mkdir "$folder/bin"
printf '#!/bin/sh\necho "$@" >> calls\nexit $CODE\n' > "$folder/bin/cleanloop"
chmod +x "$folder/bin/cleanloop"
for code in 0 4 2; do
    found=0
    (cd "$folder" && PATH=$PWD/bin:$PATH CODE=$code bash -ue nextflow.sh) || found=$?
    expected=0
    [ $code != 2 ] || expected=1
    [ $found = $expected ] || { echo "selfcal.nf: exit code $found after $code" >&2; exit 1; }
done
[ "$(sort -u "$folder/calls")" = "run field.ms --output field-selfcal --set campaign.resources.threads=2" ]
if command -v nextflow > /dev/null; then nextflow inspect pipelines/selfcal.nf; fi

cp pipelines/cleanloop.def "$folder/Singularity"
target/spython-venv/bin/spython recipe --parser singularity "$folder/Singularity" > "$folder/Dockerfile"
grep -q '^RUN /opt/cleanloop/bin/cleanloop setup casa' "$folder/Dockerfile"
if command -v apptainer > /dev/null; then echo "apptainer is here: build pipelines/cleanloop.def beside a wheel"; fi
echo "5 passed, 0 failed"
