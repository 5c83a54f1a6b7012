#!/bin/sh
# 4) data_src faceset extract MANUAL: The same, with faces that you mark: writes the file in which to do so, then cuts out what it says. Written by `main.py steps --write`.
exec sh "$(dirname -- "$0")/faceloom.sh" extract --input-dir '{workspace}/data_src' --output-dir '{workspace}/data_src/aligned' --detector manual "$@"
