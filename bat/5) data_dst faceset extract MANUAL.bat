@echo off
rem 5) data_dst faceset extract MANUAL: Every face of the destination is marked by you. Written by main.py steps --write.
setlocal
set "FACELOOM_SCRIPT=%~nx0"
"%~dp0faceloom.bat" extract --input-dir {workspace}/data_dst --output-dir {workspace}/data_dst/aligned --output-debug --detector manual %*
