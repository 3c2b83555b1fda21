#!/bin/sh
# Install one locked set into .venv:  requirements/install.sh runtime|judge|dev
# Makes .venv where it is missing or broken. Every package is checked against the hashes in requirements/SET.txt.
# PYTHON=… chooses the interpreter; the index is whatever pip is configured to use.
set -eu

set_name=$1
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
cd "$root"
venv=.venv
py=$venv/bin/python
lock=requirements/$set_name.txt

fail() {
    echo "gleaner: $*" >&2
    exit 1
}

is_new_enough='import sys; sys.exit(sys.version_info < (3, 11))'
can_make_venv='import venv, ensurepip'

find_python() {
    without_venv=
    # Up to 3.13 every locked package has a wheel; a newer one may need a compiler, so it comes last.
    for candidate in ${PYTHON:-python3.13 python3.12 python3.11 python3 python3.14 python}; do
        "$candidate" -c "$is_new_enough" >/dev/null 2>&1 || continue
        if "$candidate" -c "$can_make_venv" >/dev/null 2>&1; then
            found=$candidate
            return
        fi
        without_venv=${without_venv:-$candidate}
    done
    [ -z "$without_venv" ] ||
        fail "$without_venv lacks venv/ensurepip; install it (Debian and Ubuntu: apt install python3-venv), then run make again"
    [ -z "${PYTHON:-}" ] || fail "PYTHON=$PYTHON is not a Python 3.11 or newer"
    fail "no Python 3.11 or newer found; install one, or name it: make PYTHON=/path/to/python3"
}

if ! "$py" -c "$is_new_enough; import pip" >/dev/null 2>&1; then
    find_python
    echo "gleaner: making $venv with $("$found" --version)"
    "$found" -m venv --clear "$venv"
fi

export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1

with_uv() {
    [ -z "${GLEANER_NO_UV:-}" ] || return 1
    [ -x "$venv/bin/uv" ] ||
        "$py" -m pip install --quiet --require-hashes -r requirements/bootstrap.txt >/dev/null 2>&1 || return 1
    # uv doesn't read pip's configuration: hand the index on
    if [ -z "${UV_DEFAULT_INDEX:-}${UV_INDEX_URL:-}" ]; then
        index=${PIP_INDEX_URL:-$("$py" -m pip config get global.index-url 2>/dev/null || true)}
        [ -z "$index" ] || export UV_DEFAULT_INDEX="$index"
    fi
    UV_LINK_MODE=${UV_LINK_MODE:-copy} "$venv/bin/uv" pip install --quiet --python "$py" --require-hashes -r "$lock"
}

with_pip() {
    "$py" -m pip install --quiet --require-hashes -r "$lock"
}

echo "gleaner: installing $lock into $venv"
with_uv || {
    echo "gleaner: uv can't be used here, pip takes a little longer"
    with_pip
}
"$py" -m pip install --quiet --no-build-isolation --no-deps --editable .
