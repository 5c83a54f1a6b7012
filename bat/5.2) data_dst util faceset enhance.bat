@echo off
rem 5.2) data_dst util faceset enhance: Makes edges crisper, and the faces larger if you like. Written by main.py steps --write.
setlocal
set "FACELOOM_SCRIPT=%~nx0"
"%~dp0faceloom.bat" facesettool enhance --input-dir {workspace}/data_dst/aligned %*
