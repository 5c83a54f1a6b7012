#!/bin/sh
# 5.2) data_dst util recover original filename: Names every face after its frame again. Written by `main.py steps --write`.
exec sh "$(dirname -- "$0")/faceloom.sh" util --input-dir '{workspace}/data_dst/aligned' --recover-original-aligned-filename "$@"
