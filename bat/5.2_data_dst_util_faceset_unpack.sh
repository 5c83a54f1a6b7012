#!/bin/sh
# 5.2) data_dst util faceset unpack: Makes files of a pack again. Written by `main.py steps --write`.
exec sh "$(dirname -- "$0")/faceloom.sh" util --input-dir '{workspace}/data_dst/aligned' --unpack-faceset "$@"
