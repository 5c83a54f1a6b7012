#!/bin/sh
# 5.2) data_dst util faceset metadata save: Keeps all records before faces are edited. Written by `main.py steps --write`.
exec sh "$(dirname -- "$0")/faceloom.sh" util --input-dir '{workspace}/data_dst/aligned' --save-faceset-metadata "$@"
