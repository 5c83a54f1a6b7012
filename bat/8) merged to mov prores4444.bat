@echo off
rem 8) merged to mov prores4444: For editing programs: the merged frames, or the faces alone (merge --out png-rgba), with their alpha. Written by main.py steps --write.
setlocal
set "FACELOOM_SCRIPT=%~nx0"
"%~dp0faceloom.bat" videoed video-from-sequence --reference-file {workspace}/data_dst.* --input-dir {workspace}/data_dst/merged --output-file {workspace}/result.mov --include-audio --encoder prores4444 --alpha-dir {workspace}/data_dst/merged_mask %* --then videoed video-from-sequence --reference-file {workspace}/data_dst.* --input-dir {workspace}/data_dst/merged_mask --output-file {workspace}/result_mask.mov --lossless %*
