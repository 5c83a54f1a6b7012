#!/bin/sh
# 5.2) data_dst sort: The same for the destination. Written by `main.py steps --write`.
exec sh "$(dirname -- "$0")/faceloom.sh" sort --input-dir '{workspace}/data_dst/aligned' "$@"
