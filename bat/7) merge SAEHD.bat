@echo off
rem 7) merge SAEHD: Puts the face that a SAEHD model learned onto every destination frame. Written by main.py steps --write.
setlocal
set "FACELOOM_SCRIPT=%~nx0"
"%~dp0faceloom.bat" merge --input-dir {workspace}/data_dst --output-dir {workspace}/data_dst/merged --output-mask-dir {workspace}/data_dst/merged_mask --aligned-dir {workspace}/data_dst/aligned --model-dir {workspace}/model --model SAEHD %*
