#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Make or refresh the virtual environment named by the first argument. `make setup` calls this.
set -euo pipefail
cd "$(dirname "$0")/.."
venv="${1:?usage: scripts/set_up.sh VENV}"
python="${PYTHON:-python3}"

stop() { echo "$*" >&2; exit 1; }

as_root_install() {  # as_root_install PACKAGE...: true if apt could install them
  [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 1
  apt-get update -qq >/dev/null 2>&1 || true
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

command -v "$python" >/dev/null || as_root_install python3 python3-venv ||
  stop "Python is missing; install it with: sudo apt-get install python3 python3-venv"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
  stop "Python 3.11 or newer is needed, $("$python" --version) was found; name another one with: make setup PYTHON=python3.11"

if ! [ -x "$venv/bin/python" ]; then
  "$python" -c 'import ensurepip' 2>/dev/null || as_root_install python3-venv ||
    stop "The Python module 'venv' is missing; install it with: sudo apt-get install python3-venv"
  "$python" -m venv "$venv"
fi

pip() { "$venv/bin/python" -m pip -qq --disable-pip-version-check "$@"; }
echo "Installing into $venv (about 2 GB, a minute or two) ..." >&2
pip install --upgrade "pip>=25.3" -c constraints.txt
# Torch first and by its exact number, so that the build the machine's index offers is the one kept.
pip install "$(grep -E '^torch==' constraints.txt)"
pip install -c constraints.txt --build-constraint constraints.txt -e . --group test --group check
bash scripts/system_libraries.sh "$venv"
echo "Ready. What works on this machine: $venv/bin/endoforge doctor" >&2
