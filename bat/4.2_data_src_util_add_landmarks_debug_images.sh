#!/bin/sh
# 4.2) data_src util add landmarks debug images: Shows the landmarks of every face. Written by `main.py steps --write`.
exec sh "$(dirname -- "$0")/faceloom.sh" util --input-dir '{workspace}/data_src/aligned' --add-landmarks-debug-images "$@"
