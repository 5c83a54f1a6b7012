@echo off
rem 3) extract images from video data_dst FULL FPS: The destination video becomes pictures, every frame of it. Written by main.py steps --write.
setlocal
set "FACELOOM_SCRIPT=%~nx0"
"%~dp0faceloom.bat" videoed extract-video --input-file {workspace}/data_dst.* --output-dir {workspace}/data_dst --fps 0 %*
