@echo off
rem 8) merged to mov lossless: Makes result.mov and result_mask.mov. Written by main.py steps --write.
setlocal
set "FACELOOM_SCRIPT=%~nx0"
"%~dp0faceloom.bat" videoed video-from-sequence --reference-file {workspace}/data_dst.* --input-dir {workspace}/data_dst/merged --output-file {workspace}/result.mov --include-audio --lossless %* --then videoed video-from-sequence --reference-file {workspace}/data_dst.* --input-dir {workspace}/data_dst/merged_mask --output-file {workspace}/result_mask.mov --lossless %*
