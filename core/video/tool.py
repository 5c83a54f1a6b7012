"""The ffmpeg program: where it is, and how it is run so that it can be watched, stopped and believed.

The binary of the package imageio-ffmpeg is used. Another one only when told: by the option `--ffmpeg`, or by the
environment variable FACELOOM_FFMPEG (a path, or a name to look for on PATH).
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import IO

from core.errors import BadOption, ToolFailed

_LINE = re.compile(r"^(?:\[[^\]]* @ 0x[0-9a-f]+\] )*\[(panic|fatal|error|warning|info|verbose|debug)\] (.*)$")
_REFUSALS = {
    "No space left": ("the disk is full", "Free some space, then run the same step again."),
    "Read-only file system": (
        "the disk is write-protected, nothing can be written there",
        "Put the workspace or the result on another disk, or make this one writable, then run the same step again.",
    ),
    "Permission denied": (
        "a file or its folder may not be read or written",
        "Make it accessible (or close the program that holds it), then run the same step again.",
    ),
}
"""What a machine refuses, in ffmpeg's words: what it means, and what to do."""

_BAD = ("panic", "fatal", "error")
_NOT_WORTH_TELLING = re.compile(
    r"^(Task finished with|Terminating thread|Error (writing|closing|muxing|submitting|opening input file)|"
    r"Conversion failed|Last message repeated|At least one output)"
)


def ffmpeg_binary(told: str | None = None) -> Path:
    """The ffmpeg to use.

    Args:
        told: a path or a program name; None: FACELOOM_FFMPEG, else the one imageio-ffmpeg brings.

    Raises:
        ToolFailed: it is not there.
    """
    wanted = str(told) if told else os.environ.get("FACELOOM_FFMPEG", "")
    if wanted:
        found = shutil.which(Path(wanted).expanduser())
        if found is None:
            raise ToolFailed(
                "ffmpeg",
                f"there is no program {wanted}.",
                "Correct --ffmpeg or FACELOOM_FFMPEG, or leave both out to use the ffmpeg that comes with FaceLoom.",
            )
        return Path(found)
    remedy = "Run the set-up again (it installs imageio-ffmpeg), or name your own with FACELOOM_FFMPEG=/path/to/ffmpeg."
    try:
        import imageio_ffmpeg

        path = Path(imageio_ffmpeg.get_ffmpeg_exe())
    except (ImportError, RuntimeError, OSError) as problem:
        raise ToolFailed("ffmpeg", f"no ffmpeg was found ({problem}).", remedy) from problem
    if not path.is_file():
        raise ToolFailed("ffmpeg", f"{path} is missing.", remedy)
    return path


def ffmpeg_version(binary: Path) -> str:
    """The version as ffmpeg itself says it, e.g. "7.1".

    Raises:
        ToolFailed: it does not start.
    """
    try:
        done = subprocess.run([str(binary), "-version"], capture_output=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired) as problem:
        raise ToolFailed("ffmpeg", f"{binary} does not start ({problem}).") from problem
    match = re.match(rb"ffmpeg version (\S+)", done.stdout)
    if done.returncode != 0 or match is None:
        raise ToolFailed("ffmpeg", f"{binary} does not answer to -version.")
    return match.group(1).decode("utf-8", "replace")


@lru_cache(maxsize=8)
def knows_option(binary: Path, name: str) -> bool:
    """Whether this ffmpeg lists an option of this name."""
    try:
        done = subprocess.run([str(binary), "-hide_banner", "-h", "long"], capture_output=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return re.search(rb"^-%b\b" % re.escape(name.encode()), done.stdout, re.M) is not None


def file_address(path: Path) -> str:
    """A path as ffmpeg takes it literally, whatever its characters look like ("-x", "a:b", "http:...").

    Raises:
        BadOption: the name holds bytes that are no Unicode; ffmpeg-python knows text alone.
    """
    address = f"file:{os.path.abspath(path)}"
    try:
        address.encode("utf-8")
    except UnicodeEncodeError:
        shown = address.removeprefix("file:").encode("utf-8", "replace").decode("utf-8")
        raise BadOption(
            f"The name of a video must be Unicode (UTF-8). Received: {shown}.", "Rename the file or its folder."
        ) from None
    return address


@dataclass
class ToolReport:
    """What ffmpeg said.

    Attributes:
        complaints: its error lines, without repetition; may be there although it went on to the end.
        head: its first lines of every kind, (level, text): the description of the input.
        lines: its last lines of every kind.
    """

    complaints: list[str] = field(default_factory=list)
    head: list[tuple[str, str]] = field(default_factory=list)
    lines: deque[tuple[str, str]] = field(default_factory=lambda: deque(maxlen=400))

    def add(self, raw: str) -> None:
        """Takes one line of standard error."""
        match = _LINE.match(raw.rstrip())
        level, text = (match.group(1), match.group(2)) if match else ("info", raw.rstrip())
        self.lines.append((level, text))
        if len(self.head) < 1000:
            self.head.append((level, text))
        known = text in self.complaints or _NOT_WORTH_TELLING.match(text)
        if level in _BAD and not known and len(self.complaints) < 50:
            self.complaints.append(text)

    def last_words(self) -> str:
        """The lines that explain a failure best."""
        told = self.complaints[-3:] or [text for level, text in self.lines if text.strip() and level != "verbose"][-3:]
        return " / ".join(line.strip() for line in told)

    def search(self, pattern: str) -> re.Match[str] | None:
        """The last line that matches."""
        for _, text in reversed(self.lines):
            match = re.search(pattern, text)
            if match:
                return match
        return None


class RunningTool:
    """A running ffmpeg. Use through `running`."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self.report = ToolReport()
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def _listen(self) -> None:
        stream = self._process.stderr
        assert stream is not None
        for raw in stream:
            self.report.add(raw.decode("utf-8", "replace"))

    @property
    def output(self) -> IO[bytes]:
        """Its standard output."""
        assert self._process.stdout is not None
        return self._process.stdout

    def feed(self, data: bytes | memoryview) -> None:
        """Writes to its standard input.

        Raises:
            ToolFailed: it no longer listens.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(data)
        except (BrokenPipeError, OSError) as problem:
            self._process.wait(timeout=60)
            self._listener.join(timeout=10)
            raise self._failure() from problem

    def end_feed(self) -> None:
        """Tells it that nothing more comes."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError, OSError):
            self._process.stdin.close()

    def finish(self) -> ToolReport:
        """Waits for the end.

        Raises:
            ToolFailed: it ended with an error.
        """
        code = self._process.wait()
        self._listener.join(timeout=10)
        if code != 0:
            raise self._failure()
        return self.report

    def _failure(self) -> ToolFailed:
        words = self.report.last_words() or f"exit code {self._process.returncode}"
        for refusal, (meaning, remedy) in _REFUSALS.items():
            if refusal in words:
                line = next(line for line in words.split(" / ") if refusal in line)
                return ToolFailed("ffmpeg", f"{meaning} ({line}).", remedy)
        return ToolFailed("ffmpeg", words)

    def stop(self) -> None:
        """Ends it at once and waits until it is gone."""
        if self._process.poll() is None:
            self._process.kill()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        self._process.wait()
        self._listener.join(timeout=10)
        if self._process.stderr is not None and not self._listener.is_alive():
            self._process.stderr.close()


@contextlib.contextmanager
def running(command: Sequence[str], *, feeding: bool = False) -> Iterator[RunningTool]:
    """Starts ffmpeg; it is gone when the block ends, whatever ended it.

    It runs in a session of its own: Ctrl-C in the terminal reaches us alone, and we stop it.

    Args:
        feeding: its standard input is written by `feed`; otherwise it has none.

    Raises:
        ToolFailed: it does not start.
    """
    try:
        process: subprocess.Popen[bytes] = subprocess.Popen(
            list(command),
            stdin=subprocess.PIPE if feeding else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),  # Windows
            start_new_session=os.name != "nt",
        )
    except OSError as problem:
        raise ToolFailed("ffmpeg", f"{command[0]} does not start ({problem.strerror or problem}).") from problem
    tool = RunningTool(process)
    try:
        yield tool
    finally:
        tool.stop()


def run(command: Sequence[str], on_frame: Callable[[int], None] | None = None) -> ToolReport:
    """Runs ffmpeg to its end.

    Args:
        command: with `-progress pipe:1` when `on_frame` is given.
        on_frame: told how many more frames are done, now and then.

    Raises:
        ToolFailed: it ended with an error.
    """
    done = 0
    with running(command) as tool:
        for line in tool.output:
            name, _, value = line.decode("ascii", "replace").strip().partition("=")
            if on_frame is not None and name == "frame" and value.isdigit() and int(value) > done:
                on_frame(int(value) - done)
                done = int(value)
        return tool.finish()
