#!/bin/sh
# 4.2) data_src util faceset metadata restore: Gives faces their records back after they were edited in other programs. Written by `main.py steps --write`.
exec sh "$(dirname -- "$0")/faceloom.sh" util --input-dir '{workspace}/data_src/aligned' --restore-faceset-metadata "$@"
