#!/bin/sh
# 1) clear workspace: Puts frames, faces and models into the trash; videos stay. Written by `main.py steps --write`.
exec sh "$(dirname -- "$0")/faceloom.sh" workspace clear "$@"
