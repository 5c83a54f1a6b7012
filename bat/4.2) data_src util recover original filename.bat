@echo off
rem 4.2) data_src util recover original filename: Names every face after its frame again. Written by main.py steps --write.
setlocal
set "FACELOOM_SCRIPT=%~nx0"
"%~dp0faceloom.bat" util --input-dir {workspace}/data_src/aligned --recover-original-aligned-filename %*
