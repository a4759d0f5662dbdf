#!/bin/sh
# Everything that needs a GPU, in one command, on a machine that has Python with torch and numpy:
#
#   scripts/cuda_machine.sh BUNDLES [OUT]            # self-tests, parity and times of all engines
#   scripts/cuda_machine.sh --dry-run BUNDLES [OUT]  # without a GPU, where Edgewright is installed
#
# BUNDLES is made where Edgewright and nvcc are: python benchmarks/cuda.py --prepare BUNDLES.
# OUT, by default cuda-results, receives the tables. Nothing is installed and nothing is downloaded.
set -eu
dry=
if [ "${1:-}" = --dry-run ]; then
  dry=--dry-run
  shift
fi
if [ $# -lt 1 ] || [ ! -d "$1" ]; then
  echo "usage: $0 [--dry-run] BUNDLES [OUT]; BUNDLES is a folder of prepared bundles" >&2
  exit 2
fi
bundles=$(cd "$1" && pwd)
out=${2:-cuda-results}
mkdir -p "$out"
out=$(cd "$out" && pwd)
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
networks=${NETWORKS:-}
batches=${BATCHES:-1,32}
status=0

if [ -z "$dry" ]; then
  # The repository's own modules, without installing them: links, as an installation lays them out.
  "$python" .ci/link_tree.py "$out/tree"
  PYTHONPATH=$out/tree${PYTHONPATH:+:$PYTHONPATH}
  export PYTHONPATH
  nvidia-smi >"$out/gpu.txt" 2>&1 || true
  for bundle in "$bundles"/*; do
    echo "== $(basename "$bundle")"
    "$bundle/bin/selftest" --bundle "$bundle" || status=1
    "$bundle/bin/bench" --bundle "$bundle" --profile >"$out/$(basename "$bundle").profile.txt" || status=1
  done >"$out/selftests.txt" 2>&1
fi
# Unquoted: no networks is no argument, and then the benchmark's own eight.
# shellcheck disable=SC2086
"$python" benchmarks/cuda.py $networks --bundles "$bundles" --batches "$batches" $dry \
  --json "$out/float32.json" >"$out/float32.txt" || status=$?
if [ -z "$dry" ]; then
  # shellcheck disable=SC2086
  "$python" benchmarks/cuda.py $networks --bundles "$bundles" --batches "$batches" --tf32 \
    --json "$out/tf32.json" >"$out/tf32.txt" || status=$?
fi
cat "$out"/*32.txt
exit $status
