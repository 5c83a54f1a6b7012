#!/bin/sh
# 6) train Quick96: Trains the small, fast model until you stop it (Enter, or Ctrl-C). Written by `main.py steps --write`.
exec sh "$(dirname -- "$0")/faceloom.sh" train --training-data-src-dir '{workspace}/data_src/aligned' --training-data-dst-dir '{workspace}/data_dst/aligned' --pretrained-model-dir '{internal}/pretrain_Quick96' --model-dir '{workspace}/model' --model Quick96 "$@"
