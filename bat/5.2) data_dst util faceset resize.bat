@echo off
rem 5.2) data_dst util faceset resize: Makes all faces another size or another type. Written by main.py steps --write.
setlocal
set "FACELOOM_SCRIPT=%~nx0"
"%~dp0faceloom.bat" facesettool resize --input-dir {workspace}/data_dst/aligned %*
