@echo off
rem 4.2) data_src util faceset metadata restore: Gives faces their records back after they were edited in other programs. Written by main.py steps --write.
setlocal
set "FACELOOM_SCRIPT=%~nx0"
"%~dp0faceloom.bat" util --input-dir {workspace}/data_src/aligned --restore-faceset-metadata %*
