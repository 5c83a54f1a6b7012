@echo off
rem 4.2) data_src util faceset resize: Makes all faces another size or another type. Written by main.py steps --write.
setlocal
set "FACELOOM_SCRIPT=%~nx0"
"%~dp0faceloom.bat" facesettool resize --input-dir {workspace}/data_src/aligned %*
