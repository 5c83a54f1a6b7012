#!/bin/sh
# 4.2) data_src sort: Puts the source's faces into a new order: blurred ones, strangers and doubles come together. Written by `main.py steps --write`.
exec sh "$(dirname -- "$0")/faceloom.sh" sort --input-dir '{workspace}/data_src/aligned' "$@"
