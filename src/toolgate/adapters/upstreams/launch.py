"""Becomes an upstream's program, after it has seen to its end and its bounds. Run as a script, with nothing imported.

It leaves a guard in the process group: a shell that waits for the gateway's end of a pipe to close, and then kills the
group. So nothing of an upstream outlives the gateway, however that ends, also where there is no ``PR_SET_PDEATHSIG``
(which would reach the first process alone). What leaves the group by ``setsid`` escapes; nothing but a container or a
control group holds that.

Memory is bounded by ``RLIMIT_DATA``, inherited by whatever the program starts, each process by itself. On Linux it
counts private writable memory, and so not what runtimes such as Node reserve without using it, which makes
``RLIMIT_AS`` useless for them. Other systems count less.

Arguments: the descriptor of the pipe, the bound in bytes or 0, the program and its arguments.
"""

import os
import resource
import signal
import sys

GUARD = "trap '' HUP INT TERM; read _; kill -KILL 0"
NOT_STARTED = 127


def main() -> None:
    """Never returns."""
    lifeline, memory, program = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    leave_guard(lifeline)
    os.close(lifeline)
    if memory:
        resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    # Ignored signals are inherited, and this interpreter ignores two that programs expect to die of.
    for name in ("SIGPIPE", "SIGXFSZ"):
        signal.signal(getattr(signal, name), signal.SIG_DFL)
    try:
        os.execvp(program[0], program)  # noqa: S606 - the program that the operator configured
    except OSError as error:
        os.write(2, f"cannot start {program[0]}: {error.strerror}\n".encode())
        os._exit(NOT_STARTED)


def leave_guard(lifeline: int) -> None:
    """Start the guard as nobody's child, so that a program that counts its children does not find it."""
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    if os.fork():
        os._exit(0)
    # It holds no end of the program's pipes: the gateway would wait for it instead of for the program.
    os.dup2(lifeline, 0)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 1)
    os.dup2(null, 2)
    os.closerange(3, 256)
    os.execv("/bin/sh", ["sh", "-c", GUARD])  # noqa: S606 - a constant of ours


if __name__ == "__main__":
    main()
