#!/bin/sh
# 3) cut video (drop video on me): Keeps one part of a video. Written by `main.py steps --write`.
file=${1:-}
[ $# -gt 0 ] && shift
case $file in -*.*) file=./$file ;; esac
exec sh "$(dirname -- "$0")/faceloom.sh" videoed cut-video --input-file "$file" "$@"
