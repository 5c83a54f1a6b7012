@echo off
rem FaceLoom's launcher: finds a Python and hands over to _internal\setup.py, which makes whatever is missing.
rem   bat\faceloom.bat demo      the demonstration
rem   bat\faceloom.bat test      every check and test
rem   bat\faceloom.bat [words]   main.py with these words
rem The numbered scripts jump here without CALL, which would read % and ^ in their words a second time.
setlocal EnableExtensions EnableDelayedExpansion
set "FACELOOM_CMDLINE=!CMDCMDLINE!"
set "LINE="
set "CLICKED="
set "ONE_SHOT="
if defined FACELOOM_CMDLINE set "LINE=!FACELOOM_CMDLINE:"=!"
if defined LINE if "!LINE:~-1!"==" " set "CLICKED=1"
if defined FACELOOM_DROP if defined LINE if not "!LINE:%FACELOOM_SCRIPT%=!"=="!LINE!" set "ONE_SHOT=1"
setlocal DisableDelayedExpansion
if not defined FACELOOM_SCRIPT set "FACELOOM_SCRIPT=%~nx0"
set "PYTHONUTF8=1"
for /f "tokens=2 delims=:." %%C in ('chcp') do set "CODEPAGE=%%C"
chcp 65001 >nul
set "PYTHON=%FACELOOM_PYTHON%"
set "FITS=import sys, venv, ensurepip; (3, 11) <= sys.version_info[:2] <= (3, 13) and print(sys.executable)"
for %%P in ("py -3.12" "py -3.13" "py -3.11" python3 python) do if not defined PYTHON for /f "delims=" %%E in ('%%~P -c "%FITS%" 2^>nul') do if exist "%%E" set "PYTHON=%%E"
if not defined PYTHON goto no_python
"%PYTHON%" "%~dp0..\_internal\setup.py" %*
set "CODE=%ERRORLEVEL%"
goto end

:no_python
echo Error: FaceLoom needs Python 3.11, 3.12 or 3.13, and found none.
echo Install one from https://www.python.org/downloads/windows/ and run this script again,
echo or name it: set FACELOOM_PYTHON=C:\path\to\python.exe
set "CODE=1"
if defined CLICKED pause

:end
if defined CODEPAGE chcp %CODEPAGE% >nul
rem Explorer cuts the path of a dropped file at an unquoted ampersand; EXIT keeps cmd.exe from running the rest of it.
if defined ONE_SHOT exit %CODE%
exit /b %CODE%
