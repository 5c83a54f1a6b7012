#!/bin/sh
# 5) data_dst faceset extract + manual fix: The same, then frames without a face are listed for you to mark; the next run cuts out what you marked. Written by `main.py steps --write`.
exec sh "$(dirname -- "$0")/faceloom.sh" extract --input-dir '{workspace}/data_dst' --output-dir '{workspace}/data_dst/aligned' --output-debug --max-faces-from-image 0 --manual-fix "$@"
