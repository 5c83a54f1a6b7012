@echo off
rem 5) data_dst faceset extract + manual fix: The same, then frames without a face are listed for you to mark; the next run cuts out what you marked. Written by main.py steps --write.
setlocal
set "FACELOOM_SCRIPT=%~nx0"
"%~dp0faceloom.bat" extract --input-dir {workspace}/data_dst --output-dir {workspace}/data_dst/aligned --output-debug --max-faces-from-image 0 --manual-fix %*
