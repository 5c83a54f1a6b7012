@echo off
rem 5) data_dst faceset MANUAL RE-EXTRACT DELETED ALIGNED_DEBUG: Frames whose picture you deleted from aligned_debug are listed for you to mark, and done again. Written by main.py steps --write.
setlocal
set "FACELOOM_SCRIPT=%~nx0"
"%~dp0faceloom.bat" extract --input-dir {workspace}/data_dst --output-dir {workspace}/data_dst/aligned --output-debug --detector manual --manual-output-debug-fix %*
