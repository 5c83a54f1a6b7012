#!/bin/sh
# FaceLoom's launcher: finds a Python and hands over to _internal/setup.py, which makes whatever is missing.
#   bash bat/faceloom.sh demo      the demonstration
#   bash bat/faceloom.sh test      every check and test
#   bash bat/faceloom.sh <words>   main.py with these words
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P) || exit 1
fits='import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))'
export PYTHONUTF8=1
for python in ${FACELOOM_PYTHON:+"$FACELOOM_PYTHON"} python3.12 python3.13 python3.11 python3 python \
    "$here/../_internal/venv/bin/python"; do
    if "$python" -c "$fits" >/dev/null 2>&1; then
        exec "$python" "$here/../_internal/setup.py" "$@"
    fi
done
echo "Error: FaceLoom needs Python 3.11, 3.12 or 3.13 with the module venv, and found none." >&2
echo "Install one (Debian, Ubuntu: sudo apt install python3 python3-venv; macOS: brew install python@3.12)," >&2
echo "or name it: FACELOOM_PYTHON=/path/to/python3.12 bash bat/faceloom.sh ..." >&2
exit 1
