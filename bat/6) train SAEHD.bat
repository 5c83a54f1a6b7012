@echo off
rem 6) train SAEHD: Trains the full model, with a setting for everything, until you stop it (Enter, or Ctrl-C). Written by main.py steps --write.
setlocal
set "FACELOOM_SCRIPT=%~nx0"
"%~dp0faceloom.bat" train --training-data-src-dir {workspace}/data_src/aligned --training-data-dst-dir {workspace}/data_dst/aligned --pretraining-data-dir {internal}/pretrain_faces --model-dir {workspace}/model --model SAEHD %*
