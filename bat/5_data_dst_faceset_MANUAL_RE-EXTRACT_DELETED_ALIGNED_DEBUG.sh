#!/bin/sh
# 5) data_dst faceset MANUAL RE-EXTRACT DELETED ALIGNED_DEBUG: Frames whose picture you deleted from aligned_debug are listed for you to mark, and done again. Written by `main.py steps --write`.
exec sh "$(dirname -- "$0")/faceloom.sh" extract --input-dir '{workspace}/data_dst' --output-dir '{workspace}/data_dst/aligned' --output-debug --detector manual --manual-output-debug-fix "$@"
