"""Starts stages as processes of their own, with everything imported already.

A stage started here differs from `python -m` in nothing but the two seconds that
importing PyTorch takes: a matrix of faults starts some hundreds of them. Requests come
as lines of JSON on the standard input, answers go to the standard output.
"""

import importlib
import json
import os
import sys
import traceback

# What the stages import in their functions.
LATE = ("av", "matplotlib.backends.backend_svg", "torchvision.io", "torch._dynamo")


def main():
    for module in (*LATE, *sys.argv[1:]):
        importlib.import_module(module)
    for line in sys.stdin:
        request = json.loads(line)
        if "wait" in request:
            _, status, used = os.wait4(request["wait"], 0)
            answer = os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime
        else:
            answer = os.fork()
            if answer == 0:
                os._exit(become(**request))
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def become(module, arguments, folder, log):
    """Be the stage, in this process; returns its exit status."""
    from ssdet.stage import run

    os.setsid()
    os.chdir(folder)
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    os.dup2(nowhere, 1)
    os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
    stage = importlib.import_module(module)
    try:
        run(lambda: stage.main(arguments))
        return 0
    except SystemExit as ended:
        return 0 if ended.code is None else int(ended.code)
    except BaseException:
        traceback.print_exc()
        return 1
    finally:
        sys.stderr.flush()


if __name__ == "__main__":
    main()
