#!/bin/sh
# 4.2) data_src util recover original filename: Names every face after its frame again. Written by `main.py steps --write`.
exec sh "$(dirname -- "$0")/faceloom.sh" util --input-dir '{workspace}/data_src/aligned' --recover-original-aligned-filename "$@"
