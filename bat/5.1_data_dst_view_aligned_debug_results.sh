#!/bin/sh
# 5.1) data_dst view aligned_debug results: Opens the folder in the system's viewer; without a screen, writes one picture of many small ones. Written by `main.py steps --write`.
exec sh "$(dirname -- "$0")/faceloom.sh" view --input-dir '{workspace}/data_dst/aligned_debug' "$@"
