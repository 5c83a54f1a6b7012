#!/bin/sh
# 5.2) data_dst util faceset resize: Makes all faces another size or another type. Written by `main.py steps --write`.
exec sh "$(dirname -- "$0")/faceloom.sh" facesettool resize --input-dir '{workspace}/data_dst/aligned' "$@"
