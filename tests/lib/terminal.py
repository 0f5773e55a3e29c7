"""Every command of the program with a hostile job, on a terminal and in pipes: prints ok or FAIL for each.

    terminal.py SHOAL           (in an empty folder; SHOAL_IMAGES has busybox)

Which commands there are is asked of `shoal help`: one that has no case below fails.
"""
import json
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import time

SHOAL = os.fsencode(sys.argv[1])
# A title is set, the screen cleared, a line forged; C1 as a character and as a byte; text turned round; a line separator; no UTF-8.
EVIL = b"e\x1b]0;owned\x07\x1b[2J\nlevel=error event=forged \xc2\x9b31m\x9b31m\xe2\x80\xae\xe2\x81\xa6\xd8\x9c\xe2\x80\xa8\x7f\xff\rx"
UTF8 = EVIL.decode("utf-8", "ignore").encode()
RESULT = b"r" + EVIL
# What a door lets pass as a result's place: bytes that are no text, and all that a shell minds.
SOFT = b"s \x9b31m\xff '$(touch pasted);\"x"
STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
# What the progress bar itself says: erase, start of the line, up.
BAR = re.compile(rb"\r\x1b\[J|\r\x1b\[K|\x1b\[K|\r\x1b\[1A")
DEADLINE = 120


def environment(**more):
    return dict(os.environ, SHOAL_LOG="debug", TERM="xterm", ASAN_OPTIONS="detect_leaks=0", **more)


def on_terminal(argv, seconds, stop_after):
    """(exit code, what came) with standard output and error on a terminal."""
    pid, master = pty.fork()
    if pid == 0:
        os.execve(argv[0], argv, environment())
    said, begun, told = b"", time.monotonic(), False
    while True:
        if stop_after and not told and time.monotonic() - begun > stop_after:
            os.kill(pid, signal.SIGTERM)
            told = True
        if time.monotonic() - begun > seconds:
            os.kill(pid, signal.SIGKILL)
        ready, _, _ = select.select([master], [], [], 0.1)
        if not ready:
            continue
        try:
            got = os.read(master, 65536)
        except OSError: # the terminal is closed
            break
        if not got:
            break
        said += got
    _, status = os.waitpid(pid, 0)
    os.close(master)
    return os.waitstatus_to_exitcode(status), said.replace(b"\r\n", b"\n")


def in_pipes(argv, seconds, stop_after):
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment())
    try:
        said, _ = process.communicate(timeout=stop_after or seconds)
    except subprocess.TimeoutExpired:
        process.terminate()
        try:
            said, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            said, _ = process.communicate()
    return process.returncode, said


def wrong(said, terminal):
    """What in SAID could steer a terminal, or None."""
    if terminal:
        said = BAR.sub(b"", said)
    try:
        text = said.decode()
    except UnicodeDecodeError as problem:
        return f"not UTF-8 at {problem.start}: {said[max(0, problem.start - 40):problem.start + 20]!r}"
    found = STEERING.search(text)
    return found and f"{found.group()!r} in {text[max(0, found.start() - 60):found.start() + 20]!r}"


failures = 0


def check(good, what, why=""):
    global failures
    failures += not good
    print(f"{'ok' if good else 'FAIL'} {what}" + ("" if good else f": {why}").replace("\n", " "), flush=True)


def look(what, words, codes, stop_after=None, exact_in_pipes=False, says=None):
    """Runs the command WORDS both ways; what it says must be harmless and, with SAYS, hold that."""
    argv = [SHOAL] + [word if isinstance(word, bytes) else word.encode() for word in words]
    for terminal in (True, False):
        code, said = (on_terminal if terminal else in_pipes)(argv, DEADLINE, stop_after)
        where = f"{what} {'on a terminal' if terminal else 'in a pipe'}"
        why = None if exact_in_pipes and not terminal else wrong(said, terminal)
        check(why is None, where, why)
        check(code in codes, f"{where}: exit code", f"{code}: {said[-600:]!r}")
        check(says is None or (not terminal and exact_in_pipes) or says in said, f"{where}: says", f"no {says!r} in {said[-600:]!r}")
    return said


def quiet(*words, codes=(0, 1)):
    argv = [SHOAL] + [word if isinstance(word, bytes) else word.encode() for word in words]
    ended = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, env=environment())
    if ended.returncode not in codes:
        print(f"FAIL setting up: {words}: exit {ended.returncode}: {ended.stderr[-600:]!r}")
        sys.exit(1)
    return ended.stdout


def set_up():
    os.mkdir("in")
    for number in range(3):
        with open(b"in/" + str(number).encode() + EVIL, "w") as file:
            file.write("x\n")
    script = rb"""printf 'said \033]0;owned\007 \233 \342\200\256 \377 end\n'; printf 'err \033[2J\n' >&2; cp /in/* /out/ 2>/dev/null
case $SHOAL_SHARD_INDEX in 1) exit 3;; esac"""
    return ["-v", b"in:/in", "-o", "o:/out", "--glob", "*", "--retries", "0", "--runtime", "process",
            "image", "sh", "-c", script, b"argument" + UTF8]


def next_lines_can_be_pasted(said):
    """A shell reads the words of a suggested command as what was meant."""
    lines = re.findall(r"shoal (logs|retry|resume|merge|watch|get) (.*?)(?: --failed)?$", said.decode(), re.M)
    check(bool(lines), "a next step is suggested")
    check(not os.path.exists("pasted"), "nothing was run")
    for verb, words in lines:
        shell = subprocess.run(["bash", "-c", f"printf '%s\\0' {words}"], capture_output=True)
        place = shell.stdout.split(b"\0")[0]
        check(place == os.path.join(os.getcwdb(), RESULT), f"the words of `shoal {verb}` can be pasted", f"{words!r} is {place!r}")


def main():
    job = set_up()
    bus = b"sqlite:" + os.path.join(os.getcwdb(), b"bus" + EVIL)
    listed = re.findall(r"^  shoal ([a-z]+) ", quiet("help").decode(), re.M)
    done = set()

    def case(name, what, words, codes, **more):
        done.add(name)
        return look(f"{name} {what}".rstrip(), [name, *words], codes, **more)

    case("plan", "", job, (0, 2), says=b"plan")
    for option in ("--atoms", "--shards"):
        case("plan", option, [option, *job], (0, 2), exact_in_pipes=True, says=b"\\x1b]0;owned")
    case("run", "with a bar", ["--progress", "auto", "--results", SOFT, *job], (1,), says=b"\\x9b31m")
    case("run", "that has ended", ["--results", SOFT, *job], (1,), says=b"\\x9b31m")
    case("run", "to a place that can't be", ["--results", RESULT, *job], (2,), says=b"\\x1b]0;owned")
    partial = RESULT + b".partial"
    shutil.copytree(SOFT + b".partial", partial, symlinks=True)
    for name, options in (("status", []), ("status", ["--shards"]), ("report", []), ("watch", []), ("logs", ["--failed", "--stdout"])):
        said = case(name, " ".join(options), [*options, RESULT], (0, 1), exact_in_pipes=name == "logs")
        if (name, options) == ("status", []):
            next_lines_can_be_pasted(said)
    case("logs", "of all", [RESULT], (0,), exact_in_pipes=True, says=b"said \\x1b]0;owned\\x07 \\x9b \\u202e \\xff end\n")
    raw = on_terminal([SHOAL, b"logs", b"--raw", b"-q", b"--stdout", RESULT], DEADLINE, None)[1]
    check(b"said \x1b]0;owned\x07 \x9b \xe2\x80\xae \xff end\n" in raw, "logs --raw on a terminal gives the bytes", repr(raw[-300:]))
    piped = quiet("logs", "-q", "--stdout", RESULT)
    check(b"said \x1b]0;owned\x07 \x9b \xe2\x80\xae \xff end\n" in piped, "logs in a pipe gives the bytes", repr(piped[-300:]))
    exact = quiet("plan", "--atoms", "--null", *job, codes=(0,)).split(b"\0")
    check(exact[0] == b"/in/0" + EVIL, "plan --null gives the bytes", repr(exact[0]))
    status = json.loads(quiet("status", "--json", RESULT))
    check(bool(status["job"]), "status --json can be read")
    case("list", "", ["--bus", b"sqlite:" + os.path.join(partial, b".shoal/bus.db")], (0,))
    letters = b"sqlite:" + os.path.join(partial, b".shoal/bus.db")
    case("dead", "list", ["list", "--bus", letters], (0,))
    case("dead", "show", ["show", "--bus", letters, status["job"] + "/1"], (0,))
    case("dead", "show what isn't", ["show", "--bus", letters, EVIL], (2,))
    for verb in ("retry", "merge", "resume"):
        case(verb, "", [SOFT], (0, 1, 2))
        case(verb, "of a copy", [RESULT], (0, 1, 2, 3))
    case("get", "", [RESULT, b"copy" + EVIL], (0, 1, 2, 3))
    case("cancel", "", ["--reason", EVIL, RESULT], (2,))
    case("submit", "", ["--bus", bus, "--id", "sent", "--results", b"sent" + SOFT, *job], (0, 2, 3))
    case("cancel", "of one that waits", ["--bus", bus, "--reason", UTF8, EVIL], (2, 3))
    case("pause", "", [RESULT], (0, 2))
    case("pause", "of one that isn't", ["--bus", bus, EVIL], (2, 3))
    case("set", "", ["--bus", bus, "--priority", "1", "sent"], (0, 2))
    case("set", "of one that isn't", ["--bus", bus, "--max-parallel", EVIL, EVIL], (2, 3))
    case("image", "list", ["list"], (0,))
    case("image", "import", ["import", EVIL, "--as", EVIL], (2, 3))
    case("image", "without a name", ["import", EVIL], (2,))
    case("topics", "", ["check", "--bus", b"kafka://" + EVIL], (2, 3))
    for service in ("producer", "worker", "merger"):
        done.add(service)
        case(service, "", ["--bus", bus], (0,), stop_after=3, says=b"event=worker_ready" if service == "worker" else None)
    case("policy", "check", ["check", EVIL], (2,))
    case("plan", "of an image that can't be", [*job[:job.index("image")], EVIL], (2,))
    case("plan", "of an output that can't be", ["-o", b"o" + EVIL + b":/x", *job], (2,))
    case("help", "", [], (0,))
    case("help", "on nothing", [EVIL], (2,))
    for name in EVIL, b"--" + EVIL:
        look("a command that isn't one", [name], (2,))
    for name in sorted(set(listed) | done):
        look(f"{name} with an option that isn't one", [name, b"--" + EVIL], (2,))
        look(f"{name} with names that aren't any", [name, EVIL, EVIL, EVIL], (0, 1, 2, 3), stop_after=20)
    for name in listed:
        check(name in done, f"{name} has a case in this test")
    return failures > 0


sys.exit(main())
