@echo off
rem 8) merged to mp4: Makes result.mp4 and result_mask.mp4. Written by main.py steps --write.
setlocal
set "FACELOOM_SCRIPT=%~nx0"
"%~dp0faceloom.bat" videoed video-from-sequence --reference-file {workspace}/data_dst.* --input-dir {workspace}/data_dst/merged --output-file {workspace}/result.mp4 --include-audio %* --then videoed video-from-sequence --reference-file {workspace}/data_dst.* --input-dir {workspace}/data_dst/merged_mask --output-file {workspace}/result_mask.mp4 --lossless %*
