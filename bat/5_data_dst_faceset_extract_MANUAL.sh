#!/bin/sh
# 5) data_dst faceset extract MANUAL: Every face of the destination is marked by you. Written by `main.py steps --write`.
exec sh "$(dirname -- "$0")/faceloom.sh" extract --input-dir '{workspace}/data_dst' --output-dir '{workspace}/data_dst/aligned' --output-debug --detector manual "$@"
