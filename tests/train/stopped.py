"""Pretraining that gets SIGTERM after a number of steps, or while it validates.

Which of them comes first on the command line: the number, or `validation`.
"""

import os
import signal
import sys

from ssdet.stage import run
from ssdet.train import pretrain
from ssdet.train.metrics_log import MetricsLog


def main():
    after, *arguments = sys.argv[1:]
    write, validate = MetricsLog.write, pretrain.Pretext.clean_accuracy

    def write_and_stop(self, step, **values):
        write(self, step, **values)
        if after.isdigit() and step == int(after):
            os.kill(os.getpid(), signal.SIGTERM)

    def stop_and_validate(self, *given):
        if after == "validation":
            os.kill(os.getpid(), signal.SIGTERM)
        return validate(self, *given)

    MetricsLog.write = write_and_stop
    pretrain.Pretext.clean_accuracy = stop_and_validate
    pretrain.main(arguments)


if __name__ == "__main__":
    run(main)
