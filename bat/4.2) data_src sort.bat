@echo off
rem 4.2) data_src sort: Puts the source's faces into a new order: blurred ones, strangers and doubles come together. Written by main.py steps --write.
setlocal
set "FACELOOM_SCRIPT=%~nx0"
"%~dp0faceloom.bat" sort --input-dir {workspace}/data_src/aligned %*
