@echo off
rem 6) train Quick96: Trains the small, fast model until you stop it (Enter, or Ctrl-C). Written by main.py steps --write.
setlocal
set "FACELOOM_SCRIPT=%~nx0"
"%~dp0faceloom.bat" train --training-data-src-dir {workspace}/data_src/aligned --training-data-dst-dir {workspace}/data_dst/aligned --pretrained-model-dir {internal}/pretrain_Quick96 --model-dir {workspace}/model --model Quick96 %*
