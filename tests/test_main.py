"""The command `sed` is the system's stream editor but for our own words."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sed.__main__ import WORDS

SCRIPTS = Path(sys.executable).parent
Result = subprocess.CompletedProcess[bytes]
Outcome = tuple[Result, bytes]


def is_ours(path: Path) -> bool:
    return b"sed.__main__" in path.read_bytes()[:2048]


def system_sed() -> str | None:
    """The stream editor that our script should hand over to."""
    for folder in os.get_exec_path():
        program = shutil.which("sed", path=folder)
        if program is not None and not is_ours(Path(program)):
            return program
    return None


SYSTEM = system_sed()
pytestmark = pytest.mark.skipif(SYSTEM is None, reason="this system has no stream editor")


@pytest.fixture
def ours() -> Path:
    """The installed script."""
    script = SCRIPTS / "sed"
    if not script.exists():
        pytest.skip("the package is not installed, so there is no script")
    return script


@pytest.fixture
def both(ours: Path, tmp_path: Path) -> Callable[..., tuple[Outcome, Outcome]]:
    """A line run by our script and by the system's program, each with its own copy of a file."""

    def run(*arguments: str, stdin: bytes = b"") -> tuple[Outcome, Outcome]:
        results = []
        for name, program in (("ours", str(ours)), ("theirs", SYSTEM)):
            folder = tmp_path / name
            folder.mkdir(exist_ok=True)
            (folder / "file.txt").write_bytes(b"a cat\na dog\n")
            (folder / "script.sed").write_bytes(b"s/a/the/\n2q5\n")
            result = subprocess.run(
                # in its messages the program calls itself what it was called
                ["sed" if name == "theirs" else program, *arguments],
                executable=program,
                input=stdin,
                cwd=folder,
                capture_output=True,
                timeout=60,
                check=False,
            )
            results.append((result, (folder / "file.txt").read_bytes()))
        return results[0], results[1]

    return run


LINES = [
    (["s/a/b/"], 0),
    (["s/a/b/g", "file.txt"], 0),
    (["-n", "/dog/p", "file.txt"], 0),
    (["-e", "s/a/b/", "-e", "s/b/c/"], 0),
    (["-f", "script.sed", "file.txt"], 5),
    (["-E", "s/(a) (c.t)/\\2 \\1/", "file.txt"], 0),
    (["--expression=s/a/b/", "--quiet", "file.txt"], 0),
    (["-i", "s/cat/mouse/", "file.txt"], 0),
    (["-i.bak", "1d", "file.txt"], 0),
    (["q5", "file.txt"], 5),
    (["s/a/b/", "missing.txt"], 2),
    (["s/a/"], 1),
    (["--version"], 0),
    (["--help"], 0),
    ([], 1),
    (["-s", "-n", "$p", "file.txt", "file.txt"], 0),
    (["--", "s/a/b/"], 0),
    ([""], 0),
]


@pytest.mark.parametrize(("line", "code"), LINES, ids=lambda value: " ".join(map(str, [value])))
def test_a_line_of_the_stream_editor_does_what_it_always_did(
    both: Callable[..., tuple[Outcome, Outcome]], line: list[str], code: int
) -> None:
    """The same output, errors, exit code and change of a file."""
    (mine, my_file), (theirs, their_file) = both(*line, stdin=b"a line\nof text\n\xff\0 bytes\n")
    assert (mine.returncode, mine.stdout, mine.stderr) == (
        theirs.returncode,
        theirs.stdout,
        theirs.stderr,
    )
    assert my_file == their_file
    if b"GNU" in subprocess.run([SYSTEM, "--version"], capture_output=True).stdout:
        assert mine.returncode == code


@pytest.mark.parametrize("word", WORDS)
def test_our_words_are_errors_as_programs_of_the_stream_editor(word: str) -> None:
    """So nothing that works there is taken away."""
    result = subprocess.run([SYSTEM, word], input=b"text\n", capture_output=True, timeout=60)
    assert result.returncode in (1, 4)  # 4 is GNU's for a missing label, here that of "train"
    assert (result.stdout, result.stderr.count(b"\n")) == (b"", 1)


def test_a_reader_that_leaves_ends_the_stream_editor_without_a_word(ours: Path) -> None:
    """Python ignores SIGPIPE; a program that inherits that complains of a broken pipe."""
    with subprocess.Popen(
        [ours, "p"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as editor:
        editor.stdin.write(b"text\n" * 5_000)
        editor.stdin.flush()
        assert editor.stdout.read(5) == b"text\n"
        editor.stdout.close()
        with contextlib.suppress(BrokenPipeError):
            editor.stdin.write(b"text\n" * 100_000)
            editor.stdin.close()
        assert editor.stderr.read() == b""
        assert editor.wait(timeout=60) == -signal.SIGPIPE


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="not Linux: cannot be told")
def test_the_locale_is_the_callers(ours: Path) -> None:
    """Python turns the C locale into UTF-8, in which a dot is a character, no byte."""
    path = os.environ["PATH"]
    outputs = [
        subprocess.run(
            [program, "s/./x/g"], input="é\n".encode(), env=environment, capture_output=True
        ).stdout
        for environment in ({"PATH": path}, {"PATH": path, "LC_ALL": "C.UTF-8"})
        for program in (ours, SYSTEM)
    ]
    assert outputs[0] == outputs[1]
    assert outputs[2] == outputs[3]


def script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def run_with_path(ours: Path, *folders: Path, cwd: Path | None = None) -> Result:
    return subprocess.run(
        [ours, "s/a/b/"],
        input=b"a\n",
        env={**os.environ, "PATH": os.pathsep.join(map(str, folders))},
        cwd=cwd,
        capture_output=True,
        timeout=60,
        check=False,
    )


def test_two_environments_do_not_call_each_other_for_ever(ours: Path, tmp_path: Path) -> None:
    """Neither a script like ours, also behind the /bin/sh line of a long path, nor a shim of a
    version manager that leads back to us."""
    start = "from sed.__main__ import main\n"
    other = script(tmp_path / "other" / "sed", f"#!{sys.executable}\n{start}main()\n")
    long = script(tmp_path / "long" / "sed", f"#!/bin/sh\n'''exec' python \"$0\"\n'''\n{start}")
    shim = script(tmp_path / "shim" / "sed", f'#!/bin/sh\nexec "{ours}" "$@"\n')
    broken = script(tmp_path / "broken" / "sed", "no program of this machine")
    folders = [SCRIPTS, other.parent, shim.parent, long.parent, broken.parent]
    result = run_with_path(ours, *folders, Path(SYSTEM).parent)
    assert (result.returncode, result.stdout, result.stderr) == (0, b"b\n", b"")
    result = run_with_path(ours, *folders)
    assert (result.returncode, result.stdout) == (127, b"")
    assert result.stderr.count(b"\n") == 1
    assert result.stderr.startswith(b"sed: no stream editor on PATH")


def test_a_script_of_ones_own_is_respected(ours: Path, tmp_path: Path) -> None:
    own = script(tmp_path / "own" / "sed", '#!/bin/sh\necho my own "$@"\n')
    result = run_with_path(ours, SCRIPTS, own.parent, Path(SYSTEM).parent)
    assert result.stdout == b"my own s/a/b/\n"


def test_folders_and_files_that_are_no_programs_are_passed_by(ours: Path, tmp_path: Path) -> None:
    (tmp_path / "folder" / "sed").mkdir(parents=True)
    (tmp_path / "file").mkdir()
    (tmp_path / "file" / "sed").write_text("text")
    result = run_with_path(
        ours, tmp_path / "none", tmp_path / "folder", tmp_path / "file", Path(SYSTEM).parent
    )
    assert result.stdout == b"b\n"


def test_nothing_heavy_is_imported_for_the_stream_editor() -> None:
    """Not even the command line of our own: a line costs the start of Python and no more."""
    code = """
import os, sys
def report(program, arguments):
    print(program, arguments, *sys.modules, sep="\\n")
    sys.stdout.flush()
    os._exit(0)
os.execv = report
sys.argv = ["/some/where/sed", "s/a/b/"]
from sed.__main__ import main
main()
"""
    result = subprocess.run(
        [sys.executable, "-S", "-c", code],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])},
        capture_output=True,
        text=True,
        check=True,
    )
    program, arguments, *modules = result.stdout.splitlines()
    assert (program, arguments) == (SYSTEM, "['sed', 's/a/b/']")
    assert "sed.__main__" in modules
    heavy = {"torch", "numpy", "typer", "rich", "pyannote", "sed.cli", "pathlib", "argparse"}
    assert heavy & set(modules) == set()


@pytest.mark.parametrize(
    "arguments", [["diarize", "--help"], ["help", "diarize"], ["train", "--help"]]
)
def test_help_is_ours_and_imports_nothing_heavy(arguments: list[str]) -> None:
    code = """
import atexit, sys
atexit.register(lambda: print("MODULES", *sys.modules))
sys.argv = ["/some/where/sed", *sys.argv[1:]]
from sed.__main__ import main
main()
"""
    result = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stderr) == (0, "")
    text, _, modules = result.stdout.partition("MODULES")
    [word] = {"diarize", "train"} & set(arguments)
    assert f"Usage: sed {word}" in text
    heavy = {"torch", "numpy", "pyannote.core", "soundfile", "av", "speechbrain", "yaml"}
    assert heavy & set(modules.split()) == set()


@pytest.mark.parametrize(
    "command", [[sys.executable, "-m", "sed"], [str(SCRIPTS / "speech-emotion-diarization")]]
)
def test_the_other_names_are_all_ours(command: list[str]) -> None:
    """They never hand over: a line of the stream editor is wrong use, and none is the help."""
    if not Path(command[0]).exists():
        pytest.skip("the package is not installed, so there is no script")
    wrong = subprocess.run([*command, "s/a/b/"], capture_output=True, text=True, check=False)
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr.startswith("sed: no such command 's/a/b/'")
    assert wrong.stderr.count("\n") == 1
    helped = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (helped.returncode, helped.stderr) == (0, "")
    assert "diarize" in helped.stdout


def test_help_for_a_word_that_we_do_not_have_is_wrong_use(ours: Path) -> None:
    result = subprocess.run([ours, "help", "dance"], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == "sed: no such command 'dance'; see sed --help\n"
