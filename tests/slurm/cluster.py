"""A real Slurm on this machine: munged, slurmctld, and a slurmd for each node."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

HOME = Path("/etc/slurm")  # where jobs look for slurm.conf
MARK = "# made by the tests of ssdet"
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "scontrol", "squeue", "scancel")

CONF = """\
{mark}
ClusterName=ssdet
SlurmctldHost={host}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket,cred_expire=10
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
JobCompType=jobcomp/none
MpiDefault=none
ReturnToService=2
SchedulerParameters=sched_interval=2,bf_interval=2
KillWait=20
MinJobAge=3600
SlurmdTimeout=15
MessageTimeout=10
SlurmctldPort={controller}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
GresTypes=gpu
{nodes}
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
PartitionName=short Nodes=ALL MaxTime=10 State=UP
"""


def missing():
    """Why there can be no Slurm here, or nothing."""
    lacking = [name for name in PROGRAMS if shutil.which(name, path=_path()) is None]
    if lacking:
        return f"needs {', '.join(lacking)}: apt-get install slurm-wlm munge"
    if os.geteuid() != 0:
        return "needs root: Slurm's daemons change to the user of a job"
    conf = HOME / "slurm.conf"
    if conf.exists() and not conf.read_text().startswith(MARK):
        return f"this machine is part of a Slurm already ({conf})"
    return ""


class Cluster:
    """Two nodes of two cores and one made-up GPU each; use it in a `with` block."""

    def __init__(self, folder, nodes=("n1", "n2")):
        self.folder, self.nodes = Path(folder), nodes
        self.daemons = {}

    def __enter__(self):
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error):
        for name in ("slurmd", "slurmctld", "munged"):
            for key in [key for key in self.daemons if key.startswith(name)]:
                self.kill(key, signal.SIGTERM)
        for name in ("slurm.conf", "gres.conf"):
            (HOME / name).unlink(missing_ok=True)

    def kill(self, daemon, number=signal.SIGKILL):
        """End a daemon, such as `slurmd-n1`."""
        process = self.daemons.pop(daemon)
        process.send_signal(number)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def start_node(self, node):
        """Start a node's slurmd."""
        self._daemon(f"slurmd-{node}", "slurmd", "-D", "-N", node)

    def ask(self, *command):
        """What one of Slurm's programs prints."""
        done = subprocess.run(
            command, capture_output=True, text=True, env=environment()
        )
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        return done.stdout

    def wait_until(self, condition, seconds=60):
        """Wait for something to come true; shows the controller's log if not."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if condition():
                return
            time.sleep(0.2)
        log = self.folder / "slurmctld.log"
        raise AssertionError(
            log.read_text()[-3000:] if log.exists() else "no controller"
        )

    def _start(self):
        for name in ("munge", "state", *(f"spool-{node}" for node in self.nodes)):
            (self.folder / name).mkdir(mode=0o755)
        self._write_conf()
        key = self.folder / "munge" / "key"
        key.write_bytes(secrets.token_bytes(128))
        key.chmod(0o400)
        files = {
            "--socket": "socket",
            "--key-file": "key",
            "--pid-file": "pid",
            "--log-file": "log",
            "--seed-file": "seed",
        }
        options = [f"{flag}={key.with_name(name)}" for flag, name in files.items()]
        self._daemon("munged", "munged", "--foreground", "--force", *options)
        self.wait_until(key.with_name("socket").exists)
        self._daemon("slurmctld", "slurmctld", "-D")
        for node in self.nodes:
            self.start_node(node)
        self.wait_until(lambda: self.idle() == len(self.nodes))

    def idle(self):
        """How many nodes wait for jobs."""
        done = subprocess.run(
            ["sinfo", "-h", "-N", "-p", "main", "-t", "idle", "-o", "%N"],
            capture_output=True,
            text=True,
            env=environment(),
        )
        return len(done.stdout.split())

    def _write_conf(self):
        host = socket.gethostname().split(".")[0]
        ports = free_ports(1 + len(self.nodes))
        lines = [
            f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={port}"
            " CPUs=2 RealMemory=8000 Gres=gpu:1 State=UNKNOWN"
            for node, port in zip(self.nodes, ports[1:], strict=True)
        ]
        conf = CONF.format(
            mark=MARK,
            host=f"{host}(127.0.0.1)",
            folder=self.folder,
            controller=ports[0],
            nodes="\n".join(lines),
        )
        gpu = self.folder / "gpu"
        if not gpu.exists():
            os.mknod(gpu, 0o666 | 0o020000, os.makedev(1, 3))  # as /dev/null
        HOME.mkdir(exist_ok=True)
        (HOME / "slurm.conf").write_text(conf)
        names = ",".join(self.nodes)
        (HOME / "gres.conf").write_text(
            f"{MARK}\nNodeName={names} Name=gpu File={gpu}\n"
        )

    def _daemon(self, name, program, *arguments):
        with (self.folder / f"{name}.out").open("ab") as out:
            self.daemons[name] = subprocess.Popen(
                [shutil.which(program, path=_path()), *arguments],
                stdout=out,
                stderr=out,
                env=environment(),
                start_new_session=True,
            )


def environment():
    """The environment in which Slurm's programs find their configuration."""
    return os.environ | {"PATH": _path(), "SLURM_CONF": str(HOME / "slurm.conf")}


def free_ports(number):
    """Ports of this machine that nobody listens on."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def _path():
    return f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
