@echo off
rem 4) data_src faceset extract: Finds and cuts out the faces of the source. Look through them and delete what is not the person. Written by main.py steps --write.
setlocal
set "FACELOOM_SCRIPT=%~nx0"
"%~dp0faceloom.bat" extract --input-dir {workspace}/data_src --output-dir {workspace}/data_src/aligned %*
