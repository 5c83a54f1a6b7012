#!/bin/sh
# 5.2) data_dst util faceset enhance: Makes edges crisper, and the faces larger if you like. Written by `main.py steps --write`.
exec sh "$(dirname -- "$0")/faceloom.sh" facesettool enhance --input-dir '{workspace}/data_dst/aligned' "$@"
