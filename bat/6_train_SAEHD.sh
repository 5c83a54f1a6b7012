#!/bin/sh
# 6) train SAEHD: Trains the full model, with a setting for everything, until you stop it (Enter, or Ctrl-C). Written by `main.py steps --write`.
exec sh "$(dirname -- "$0")/faceloom.sh" train --training-data-src-dir '{workspace}/data_src/aligned' --training-data-dst-dir '{workspace}/data_dst/aligned' --pretraining-data-dir '{internal}/pretrain_faces' --model-dir '{workspace}/model' --model SAEHD "$@"
