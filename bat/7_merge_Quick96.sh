#!/bin/sh
# 7) merge Quick96: Puts the face that a Quick96 model learned onto every destination frame. Written by `main.py steps --write`.
exec sh "$(dirname -- "$0")/faceloom.sh" merge --input-dir '{workspace}/data_dst' --output-dir '{workspace}/data_dst/merged' --output-mask-dir '{workspace}/data_dst/merged_mask' --aligned-dir '{workspace}/data_dst/aligned' --model-dir '{workspace}/model' --model Quick96 "$@"
