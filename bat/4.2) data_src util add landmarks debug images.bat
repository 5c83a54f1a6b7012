@echo off
rem 4.2) data_src util add landmarks debug images: Shows the landmarks of every face. Written by main.py steps --write.
setlocal
set "FACELOOM_SCRIPT=%~nx0"
"%~dp0faceloom.bat" util --input-dir {workspace}/data_src/aligned --add-landmarks-debug-images %*
