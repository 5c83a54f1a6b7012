"""FaceLoom's one door: hands the words of the command line to `mainscripts.cli`."""

import sys

if __name__ == "__main__":  # worker processes import this file again; for them nothing may happen here
    from mainscripts.cli import main

    sys.exit(main(sys.argv[1:]))
