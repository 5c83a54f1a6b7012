@echo off
rem 5.1) data_dst view aligned results: Opens the folder in the system's viewer; without a screen, writes one picture of many small ones. Written by main.py steps --write.
setlocal
set "FACELOOM_SCRIPT=%~nx0"
"%~dp0faceloom.bat" view --input-dir {workspace}/data_dst/aligned %*
