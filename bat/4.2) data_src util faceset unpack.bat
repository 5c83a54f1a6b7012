@echo off
rem 4.2) data_src util faceset unpack: Makes files of a pack again. Written by main.py steps --write.
setlocal
set "FACELOOM_SCRIPT=%~nx0"
"%~dp0faceloom.bat" util --input-dir {workspace}/data_src/aligned --unpack-faceset %*
