#!/bin/sh
# Makes .venv where it is missing or broken, and installs requirements.txt when it has changed. Run by the Makefile.
set -eu

stamp=.venv/requirements.installed
wanted=$(cksum < requirements.txt)

find_python() {
    # 3.12 and 3.11 first: for them a wheel brings a Redis.
    for name in python3.12 python3.11 python3 python3.13 python3.14 python; do
        if "$name" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2> /dev/null; then
            echo "$name"
            return
        fi
    done
    echo "The portal needs Python 3.11 or newer with its venv module." >&2
    echo "Debian, Ubuntu: sudo apt-get install python3-venv; Fedora: sudo dnf install python3; macOS: brew install python@3.12" >&2
    return 1
}

if ! .venv/bin/python -c 'import pip' 2> /dev/null; then
    python=$(find_python)
    echo "Making .venv with $("$python" --version) …"
    "$python" -m venv --clear .venv
fi
if [ "$(cat $stamp 2> /dev/null)" != "$wanted" ]; then
    echo "Installing what the portal needs into .venv (once; a minute or two) …"
    .venv/bin/python -m pip install -qq --disable-pip-version-check --no-input -r requirements.txt
    echo "$wanted" > $stamp
fi
