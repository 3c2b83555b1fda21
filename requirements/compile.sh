#!/bin/sh
# Compile requirements/*.txt from pyproject.toml and requirements/*.in. The files name versions and hashes, and no
# index: where packages come from is the installing machine's affair.
set -eu
cd "$(dirname -- "$0")/.."

compile() {
    .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
        --no-annotate --no-header --no-emit-index-url --no-emit-find-links "$@"
}

[ -x .venv/bin/uv ] || { echo "gleaner: this needs uv in .venv (.venv/bin/python -m pip install uv)" >&2; exit 1; }
compile "$@" --extra judge --extra frames --extra dev pyproject.toml requirements/dev.in -o requirements/dev.txt
# The smaller sets take their versions from the full one.
compile --extra judge -c requirements/dev.txt pyproject.toml requirements/judge.in -o requirements/judge.txt
compile -c requirements/dev.txt pyproject.toml requirements/runtime.in -o requirements/runtime.txt
compile "$@" requirements/bootstrap.in -o requirements/bootstrap.txt
compile "$@" requirements/duckdb-1.5.in -o requirements/duckdb-1.5.txt
