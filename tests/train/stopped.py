"""Pretraining that gets SIGTERM after the number of steps that comes first."""

import os
import signal
import sys

from ssdet.stage import run
from ssdet.train import pretrain
from ssdet.train.metrics_log import MetricsLog


def main():
    after, *arguments = sys.argv[1:]
    write = MetricsLog.write

    def write_and_stop(self, step, **values):
        write(self, step, **values)
        if step == int(after):
            os.kill(os.getpid(), signal.SIGTERM)

    MetricsLog.write = write_and_stop
    pretrain.main(arguments)


if __name__ == "__main__":
    run(main)
