@echo off
rem 2) extract images from video data_src: The source video becomes pictures, of 8 bits like the faces that are cut out of them. Written by main.py steps --write.
setlocal
set "FACELOOM_SCRIPT=%~nx0"
"%~dp0faceloom.bat" videoed extract-video --input-file {workspace}/data_src.* --output-dir {workspace}/data_src --depth 8 %*
