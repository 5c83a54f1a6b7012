"""FaceLoom's one door: hands the words of the command line to `mainscripts.cli`."""

import sys

if __name__ == "__main__":  # worker processes import this file again; for them nothing may happen here
    try:
        from mainscripts.cli import main
    except ModuleNotFoundError as problem:
        sys.exit(
            f"Error: the package {problem.name} is not installed here. Start FaceLoom with bash bat/faceloom.sh "
            "(on Windows bat\\faceloom.bat), which installs what it needs."
        )

    sys.exit(main(sys.argv[1:]))
