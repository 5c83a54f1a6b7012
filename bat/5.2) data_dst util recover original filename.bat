@echo off
rem 5.2) data_dst util recover original filename: Names every face after its frame again. Written by main.py steps --write.
setlocal
set "FACELOOM_SCRIPT=%~nx0"
"%~dp0faceloom.bat" util --input-dir {workspace}/data_dst/aligned --recover-original-aligned-filename %*
