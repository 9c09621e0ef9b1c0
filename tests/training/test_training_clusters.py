"""The scripts of docs/clusters with a cluster's commands faked, and what connect makes of its variables."""

import os
import shutil
import signal
import subprocess
import sys
import time

import hosts
import jax
import pytest
from devices import flags

from jaxsim import training
from jaxsim.training._hosts import shared_devices

CLUSTERS = hosts.ROOT / "docs" / "clusters"

# What each node starts: a program that says what it sees.
PROGRAM = """
import os, sys, jax
from jaxsim import training
several = training.connect()
seen = jax.config.read("jax_cuda_visible_devices")
said = ["process", jax.process_index(), "of", jax.process_count(), several, "gpus", seen,
        "devices", jax.local_device_count(), "of", jax.device_count(),
        "cpus", os.environ.get("SRUN_CPUS_PER_TASK"), "in", os.getcwd()]
sys.stdout.write(" ".join(map(str, said)) + "\\n")  # at once: another process writes too
"""

# Starts a process for each of two nodes, with the variables that SLURM's srun sets.
SRUN = """#!/usr/bin/env bash
shift # --kill-on-bad-exit=1
for node in 0 1; do
  SLURM_JOB_ID=$FAKE_JOB SLURM_STEP_NODELIST=localhost SLURM_NTASKS=2 SLURM_PROCID=$node SLURM_LOCALID=0 \\
    SLURM_NODEID=$node SLURM_STEP_NUM_NODES=2 SLURM_STEP_TASKS_PER_NODE='1(x2)' "$@" &
done
code=0
for _ in 0 1; do wait -n || code=$?; done
exit $code
"""


def command(folder, name, text):
    """A command of a cluster, first on the PATH."""
    path = folder / name
    path.write_text(text)
    path.chmod(0o755)


@pytest.fixture
def faked(tmp_path):
    """(folder of fake commands, environment that has them first)."""
    (tmp_path / "bin").mkdir()
    # Without the marks of an active environment, of which the test's Python is a part.
    plain = {k: v for k, v in os.environ.items() if k not in ("VIRTUAL_ENV", "CONDA_PREFIX")}
    plain |= {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "JAX_PLATFORMS": "cpu"}
    return tmp_path / "bin", plain | {"PYTHONPATH": str(hosts.ROOT), "XLA_FLAGS": flags(4)}


@pytest.mark.thorough
@pytest.mark.xdist_group("hosts")
@pytest.mark.usefixtures("several_processes")
def test_slurm_gives_a_process_all_devices_of_its_node(tmp_path, faked):
    """Two nodes of four devices; SLURM runs a copy of the script, and from another folder."""
    bin, environment = faked
    command(bin, "srun", SRUN)
    home = tmp_path / "home"
    (home / ".venv" / "bin").mkdir(parents=True)
    (home / ".venv" / "bin" / "activate").write_text(f"PATH={home}/.venv/bin:$PATH\n")
    command(
        home / ".venv" / "bin",
        "python-of-the-venv",
        f'#!/usr/bin/env bash\nexec {sys.executable} "$@"\n',
    )
    script = shutil.copy(CLUSTERS / "slurm.sh", tmp_path / "slurm_script")
    job = hosts.free_port() % 2**12  # of which JAX makes the port
    code, output, errors = hosts.run(
        ["bash", script, "python-of-the-venv", "-c", PROGRAM],
        env=environment
        | {"FAKE_JOB": str(job), "SLURM_SUBMIT_DIR": str(home), "SLURM_CPUS_PER_TASK": "7"},
    )
    assert code == 0, errors[-3000:]
    assert sorted(output.splitlines()) == [
        f"process {n} of 2 True gpus all devices 4 of 8 cpus 7 in {home}" for n in (0, 1)
    ]


@pytest.mark.parametrize("code", [0, 3])
def test_a_pre_empted_job_is_queued_again_once_it_has_saved(tmp_path, faked, code):
    bin, environment = faked
    saved = f"import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit({code})); print('on', flush=True); time.sleep(60)"
    command(bin, "srun", '#!/usr/bin/env bash\nshift\nexec "$@"\n')
    command(bin, "scontrol", f'#!/usr/bin/env bash\necho "$@" > {tmp_path}/queued\n')
    job = subprocess.Popen(
        ["bash", str(CLUSTERS / "slurm.sh"), sys.executable, "-c", saved],
        env=environment | {"SLURM_JOB_ID": "31"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert job.stdout.readline() == "on\n"
    job.send_signal(signal.SIGTERM)
    assert job.wait(hosts.PATIENCE) == code
    assert (tmp_path / "queued").exists() == (code == 0)
    if code == 0:
        assert (tmp_path / "queued").read_text() == "requeue 31\n"


def test_what_a_job_lacks_is_named(tmp_path, faked):
    _, environment = faked
    for name, words, message in (
        ("slurm.sh", [], "usage: sbatch"),
        (
            "slurm.sh",
            ["no-such-command"],
            f"no command no-such-command in {tmp_path}: activate the",
        ),
        ("hosts.sh", ["node1"], "usage:"),
        ("tpu.sh", ["name", "zone"], "usage:"),
    ):
        code, _, errors = hosts.run(
            ["bash", CLUSTERS / name, *words], env=environment | {"JAXSIM_HOME": str(tmp_path)}
        )
        assert code in (1, 2)
        assert message in errors


# ssh as it is on a host: another shell, nothing of this environment.
SSH = """#!/usr/bin/env bash
while [ "$1" = -o ]; do shift 2; done
echo "$1" >> {folder}/hosts
exec env -i HOME=/ PATH=/usr/bin:/bin sh -c "$2"
"""

WAITS = """
import os, signal, sys, time
folder, number = sys.argv[1], os.environ["JAXSIM_HOSTS"].partition("/")[0]
def save(*_):
    open(f"{folder}/saved{number}", "w").close()
    sys.exit(0)
signal.signal(signal.SIGTERM, save)
if len(sys.argv) > 2 and number == "1":
    sys.exit(5)
open(f"{folder}/started{number}", "w").close()
time.sleep(600)
"""


def waiting(folder, names, seconds=60):
    """Whether files come to be."""
    for _ in range(seconds * 20):
        if all((folder / name).exists() for name in names):
            return True
        time.sleep(0.05)
    return False


def on_hosts(faked, tmp_path, *words, remote):
    bin, environment = faked
    command(bin, "ssh", SSH.format(folder=tmp_path))
    return subprocess.Popen(
        ["bash", str(CLUSTERS / "hosts.sh"), "node1,node2", sys.executable, *map(str, words)],
        env=environment | {"JAXSIM_REMOTE": remote, "JAXSIM_DATA": "a 'b' $c"},
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


@pytest.mark.parametrize("remote", ["ssh", "here"])
def test_hosts_get_the_environment_and_the_folder(tmp_path, faked, remote):
    program = (
        "import os, sys; e = os.environ; said = [e['JAXSIM_HOSTS'], e['JAX_COORDINATOR_ADDRESS'], "
        "e['JAXSIM_DATA'], e['XLA_FLAGS'] != '', os.getcwd(), sys.argv[1:]]; "
        "sys.stdout.write(' '.join(map(str, said)) + chr(10))"
    )
    process = on_hosts(faked, tmp_path, "-c", program, "two words", "$x;", remote=remote)
    output, _ = process.communicate(timeout=hosts.PATIENCE)
    assert process.returncode == 0, output
    first, second = sorted(output.splitlines())
    address = first.split()[1]
    assert address.startswith("node1:")
    for number, line in enumerate((first, second)):
        assert (
            line == f"{number}/2 {address} a 'b' $c True {tmp_path} ['two words', '$x;']"
        )  # one address, one port
    if remote == "ssh":
        assert sorted((tmp_path / "hosts").read_text().split()) == ["node1", "node2"]


@pytest.mark.parametrize("remote", ["ssh", "here"])
@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_what_ends_the_script_lets_all_hosts_save(tmp_path, faked, remote, end):
    process = on_hosts(faked, tmp_path, "-c", WAITS, tmp_path, remote=remote)
    assert waiting(tmp_path, ["started0", "started1"])
    process.send_signal(end)
    code = process.wait(hosts.PATIENCE)
    assert waiting(tmp_path, ["saved0", "saved1"])
    assert code == (0 if end == signal.SIGTERM else -end), "all saved: that is no error"


def test_the_error_of_one_host_ends_all(tmp_path, faked):
    process = on_hosts(faked, tmp_path, "-c", WAITS, tmp_path, "fail", remote="ssh")
    assert process.wait(hosts.PATIENCE) == 5
    assert not (tmp_path / "started0").exists() or waiting(tmp_path, ["saved0"])


def test_a_pod_slice_gets_the_environment_and_the_settings(tmp_path, faked):
    bin, environment = faked
    command(bin, "gcloud", '#!/usr/bin/env bash\nprintf "%s\\n" "$@" | tail -1\n')
    code, output, errors = hosts.run(
        ["bash", CLUSTERS / "tpu.sh", "name", "zone", "python", "a b.py"],
        env=environment | {"JAXSIM_HOME": "/code", "JAXSIM_DATA": "/data"},
    )
    assert code == 0, errors
    assert output.startswith(
        "cd /code && { [ ! -f .venv/bin/activate ] || . .venv/bin/activate; } && exec env 'JAXSIM_HOSTS=auto' "
    )
    assert "'JAXSIM_DATA=/data'" in output
    assert "JAXSIM_HOME" not in output
    assert output.endswith("'python' 'a b.py' \n")


NODE = {
    "SLURM_JOB_ID": "31",
    "SLURM_STEP_NODELIST": "node[1-2]",
    "SLURM_NTASKS": "2",
    "SLURM_PROCID": "1",
    "SLURM_LOCALID": "0",
    "SLURM_NODEID": "1",
}
FOUR = {"CUDA_VISIBLE_DEVICES": "0,1,2,3"}


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, None),
        (NODE | {"SLURM_STEP_TASKS_PER_NODE": "1(x2)"} | FOUR, "all"),
        (NODE | {"SLURM_STEP_TASKS_PER_NODE": "2,1"} | FOUR, "all"),  # the second node has one
        (
            NODE | {"SLURM_TASKS_PER_NODE": "4", "SLURM_NODEID": "0", "SLURM_LOCALID": "3"} | FOUR,
            "3",
        ),
        (NODE | {"SLURM_TASKS_PER_NODE": "2(x2)", "SLURM_LOCALID": "1"} | FOUR, "2,3"),
        (NODE | {"SLURM_TASKS_PER_NODE": "4(x2)", "CUDA_VISIBLE_DEVICES": "5"}, "all"),  # its own
        (NODE | {"SLURM_TASKS_PER_NODE": "4(x2)"}, None),  # as JAX does: the one of its number
        (NODE | {"JAX_LOCAL_DEVICE_IDS": "0, 1"} | FOUR, None),
        ({"OMPI_COMM_WORLD_LOCAL_SIZE": "1", "OMPI_COMM_WORLD_LOCAL_RANK": "0"} | FOUR, "all"),
        ({"OMPI_COMM_WORLD_LOCAL_SIZE": "2", "OMPI_COMM_WORLD_LOCAL_RANK": "1"} | FOUR, "2,3"),
    ],
)
def test_processes_of_a_node_share_its_devices(variables, expected):
    assert shared_devices(variables) == expected


ADDRESS = {"JAXSIM_HOSTS": "1/2"}


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"JAXSIM_HOSTS": "2"}, 'JAXSIM_HOSTS must be "auto" or such as "0/4", got \'2\''),
        ({"JAXSIM_HOSTS": "2/2"}, "JAXSIM_HOSTS must be"),
        ({"JAXSIM_HOSTS": "-1/2"}, "JAXSIM_HOSTS must be"),
        ({"JAXSIM_HOSTS": "a/b"}, "JAXSIM_HOSTS must be"),
        (ADDRESS, "needs JAX_COORDINATOR_ADDRESS=host:port, the same on every host, got ''"),
        (ADDRESS | {"JAX_COORDINATOR_ADDRESS": "node1"}, "=host:port, .* got 'node1'"),
        (ADDRESS | {"JAX_COORDINATOR_ADDRESS": "node1:port"}, "=host:port, .* got 'node1:port'"),
        (ADDRESS | {"JAX_COORDINATOR_ADDRESS": "node1:99999"}, "=host:port, .* got 'node1:99999'"),
        (NODE | {"SLURM_NTASKS": "two"}, "SLURM_NTASKS must be a whole number, got 'two'"),
        (NODE | {"SLURM_LOCALID": ""}, "SLURM_LOCALID must be a whole number, got ''"),
        (NODE | {"SLURM_TASKS_PER_NODE": "1(y2)"}, "SLURM_TASKS_PER_NODE must be such as"),
        (NODE | {"SLURM_TASKS_PER_NODE": "1"}, "SLURM_NODEID=1 is not one of the nodes of"),
        (
            NODE | {"SLURM_TASKS_PER_NODE": "3(x2)"} | FOUR,
            "3 processes .* share its 4 devices equally",
        ),
        ({"JAX_LOCAL_DEVICE_IDS": "a"}, "JAX_LOCAL_DEVICE_IDS must be such as \"0,1\", got 'a'"),
        ({"JAXSIM_HOSTS": "auto"}, r"training.connect\(\) must come before any array is made"),
    ],
)
def test_malformed_variables_are_named(variables, message):
    jax.devices()  # from now on, nothing can be joined by mistake
    with pytest.raises(ValueError, match=message):
        training.connect({"JAXSIM_HOSTS": "auto"} | variables)


def test_a_cluster_that_is_not_there_is_named():
    program = "from jaxsim import training; training.connect()"
    code, _, errors = hosts.run(
        [sys.executable, "-c", program], env=hosts.environment(1) | {"JAXSIM_HOSTS": "auto"}
    )
    assert code == 1
    assert "ValueError: JAXSIM_HOSTS=auto found no cluster" in errors.splitlines()[-1]
