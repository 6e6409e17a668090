#!/bin/sh
# Set-up, first half: find a Python that runs, then let tools/setup.py do the rest with it.
# A command that exists is not enough: a version manager's shim may be on the PATH and fail.
set -eu
cd "$(dirname "$0")/.."

runs() {
    "$1" -c 'import sys; sys.exit(not (3, 12) <= sys.version_info[:2] < (3, 15))' >/dev/null 2>&1
}

for candidate in python3.12 python3.13 python3.14 python3 \
    "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.12.*/bin/python \
    "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.13.*/bin/python \
    "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.14.*/bin/python; do
    if runs "$candidate"; then
        exec "$candidate" tools/setup.py "$@"
    fi
done

cat >&2 <<'TEXT'
Set-up cannot start. Missing:

  * Python 3.12, 3.13 or 3.14 that runs (python3.12, python3.13, python3.14 and python3 were tried)
      Debian, Ubuntu   sudo apt-get install python3 python3-venv      (Debian 13, Ubuntu 24.04 or later)
      Fedora           sudo dnf install python3.12
      macOS            brew install python@3.12
      without root     pyenv install 3.12     or     uv python install 3.12

Then run the same command again.
TEXT
exit 1
