@echo off
rem 4) data_src faceset extract MANUAL: The same, with faces that you mark: writes the file in which to do so, then cuts out what it says. Written by main.py steps --write.
setlocal
set "FACELOOM_SCRIPT=%~nx0"
"%~dp0faceloom.bat" extract --input-dir {workspace}/data_src --output-dir {workspace}/data_src/aligned --detector manual %*
