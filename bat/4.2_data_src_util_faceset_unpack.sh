#!/bin/sh
# 4.2) data_src util faceset unpack: Makes files of a pack again. Written by `main.py steps --write`.
exec sh "$(dirname -- "$0")/faceloom.sh" util --input-dir '{workspace}/data_src/aligned' --unpack-faceset "$@"
