#!/bin/sh
# 4.2) data_src util faceset pack: Puts all faces into one file, which opens at once. Written by `main.py steps --write`.
exec sh "$(dirname -- "$0")/faceloom.sh" util --input-dir '{workspace}/data_src/aligned' --pack-faceset "$@"
