@echo off
rem 5.2) data_dst util faceset metadata restore: Gives faces their records back after they were edited in other programs. Written by main.py steps --write.
setlocal
set "FACELOOM_SCRIPT=%~nx0"
"%~dp0faceloom.bat" util --input-dir {workspace}/data_dst/aligned --restore-faceset-metadata %*
