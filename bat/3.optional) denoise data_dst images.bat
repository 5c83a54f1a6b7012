@echo off
rem 3.optional) denoise data_dst images: Takes noise out of the destination frames. Written by main.py steps --write.
setlocal
set "FACELOOM_SCRIPT=%~nx0"
"%~dp0faceloom.bat" videoed denoise-image-sequence --input-dir {workspace}/data_dst %*
