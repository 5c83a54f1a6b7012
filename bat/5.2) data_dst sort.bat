@echo off
rem 5.2) data_dst sort: The same for the destination. Written by main.py steps --write.
setlocal
set "FACELOOM_SCRIPT=%~nx0"
"%~dp0faceloom.bat" sort --input-dir {workspace}/data_dst/aligned %*
