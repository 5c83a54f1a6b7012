#!/bin/sh
# 5) data_dst faceset extract: The same for the destination, with pictures that show what was found. Written by `main.py steps --write`.
exec sh "$(dirname -- "$0")/faceloom.sh" extract --input-dir '{workspace}/data_dst' --output-dir '{workspace}/data_dst/aligned' --output-debug --max-faces-from-image 0 "$@"
