@echo off
rem 3) cut video (drop video on me): Keeps one part of a video. Written by main.py steps --write.
setlocal
set "FACELOOM_SCRIPT=%~nx0"
set "FACELOOM_DROP=1"
"%~dp0faceloom.bat" videoed cut-video --input-file "%~1" %2 %3 %4 %5 %6 %7 %8 %9
