"""As merge_with_stub, in parts of four frames: so that a short shot has several parts to be killed in."""

from __future__ import annotations

import sys

from core.video.segments import plan_parts
from mainscripts import cli, merge, merge_stream
from tests.mainscripts.merge_with_stub import open_stub

if __name__ == "__main__":
    vars(merge)["open_model"] = open_stub
    vars(merge_stream)["plan_parts"] = lambda count, cuts: plan_parts(count, cuts, 4)
    sys.exit(cli.main(sys.argv[1:]))
