@echo off
rem 1) clear workspace: Puts frames, faces and models into the trash; videos stay. Written by main.py steps --write.
setlocal
set "FACELOOM_SCRIPT=%~nx0"
"%~dp0faceloom.bat" workspace clear %*
