#!/bin/sh
# 4.2) data_src util faceset metadata save: Keeps all records before faces are edited. Written by `main.py steps --write`.
exec sh "$(dirname -- "$0")/faceloom.sh" util --input-dir '{workspace}/data_src/aligned' --save-faceset-metadata "$@"
