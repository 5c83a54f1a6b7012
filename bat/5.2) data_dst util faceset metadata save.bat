@echo off
rem 5.2) data_dst util faceset metadata save: Keeps all records before faces are edited. Written by main.py steps --write.
setlocal
set "FACELOOM_SCRIPT=%~nx0"
"%~dp0faceloom.bat" util --input-dir {workspace}/data_dst/aligned --save-faceset-metadata %*
