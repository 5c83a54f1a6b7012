@echo off
rem 8) merged to avi: Makes result.avi and result_mask.avi. Written by main.py steps --write.
setlocal
set "FACELOOM_SCRIPT=%~nx0"
"%~dp0faceloom.bat" videoed video-from-sequence --reference-file {workspace}/data_dst.* --input-dir {workspace}/data_dst/merged --output-file {workspace}/result.avi --include-audio %* --then videoed video-from-sequence --reference-file {workspace}/data_dst.* --input-dir {workspace}/data_dst/merged_mask --output-file {workspace}/result_mask.avi --lossless %*
