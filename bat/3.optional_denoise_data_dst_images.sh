#!/bin/sh
# 3.optional) denoise data_dst images: Takes noise out of the destination frames. Written by `main.py steps --write`.
exec sh "$(dirname -- "$0")/faceloom.sh" videoed denoise-image-sequence --input-dir '{workspace}/data_dst' "$@"
