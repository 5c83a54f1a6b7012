@echo off
rem 5.2) data_dst util faceset unpack: Makes files of a pack again. Written by main.py steps --write.
setlocal
set "FACELOOM_SCRIPT=%~nx0"
"%~dp0faceloom.bat" util --input-dir {workspace}/data_dst/aligned --unpack-faceset %*
