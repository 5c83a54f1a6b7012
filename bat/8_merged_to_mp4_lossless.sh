#!/bin/sh
# 8) merged to mp4 lossless: The same, every pixel kept exactly. Written by `main.py steps --write`.
exec sh "$(dirname -- "$0")/faceloom.sh" videoed video-from-sequence --reference-file '{workspace}/data_dst.*' --input-dir '{workspace}/data_dst/merged' --output-file '{workspace}/result.mp4' --include-audio --lossless "$@" --then videoed video-from-sequence --reference-file '{workspace}/data_dst.*' --input-dir '{workspace}/data_dst/merged_mask' --output-file '{workspace}/result_mask.mp4' --lossless "$@"
