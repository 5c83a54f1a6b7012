#!/bin/sh
# 3) extract images from video data_dst FULL FPS: The destination video becomes pictures, every frame of it. Written by `main.py steps --write`.
exec sh "$(dirname -- "$0")/faceloom.sh" videoed extract-video --input-file '{workspace}/data_dst.*' --output-dir '{workspace}/data_dst' --fps 0 "$@"
