@echo off
rem 4.2) data_src util faceset pack: Puts all faces into one file, which opens at once. Written by main.py steps --write.
setlocal
set "FACELOOM_SCRIPT=%~nx0"
"%~dp0faceloom.bat" util --input-dir {workspace}/data_src/aligned --pack-faceset %*
