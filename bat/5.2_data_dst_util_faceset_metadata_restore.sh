#!/bin/sh
# 5.2) data_dst util faceset metadata restore: Gives faces their records back after they were edited in other programs. Written by `main.py steps --write`.
exec sh "$(dirname -- "$0")/faceloom.sh" util --input-dir '{workspace}/data_dst/aligned' --restore-faceset-metadata "$@"
