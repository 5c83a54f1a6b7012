#!/bin/sh
# 5.2) data_dst util faceset pack: Puts all faces into one file, which opens at once. Written by `main.py steps --write`.
exec sh "$(dirname -- "$0")/faceloom.sh" util --input-dir '{workspace}/data_dst/aligned' --pack-faceset "$@"
