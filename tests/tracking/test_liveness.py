from __future__ import annotations

import signal
import subprocess
import sys
import time

import mlflow
import pytest

from gan_pipelines.core.config import ConfigError
from gan_pipelines.tracking import MlflowTracker
from gan_pipelines.tracking.liveness import RunningRuns
from processes import Process

RUN = """
import sys
from pathlib import Path
from gan_pipelines.tracking.liveness import RunningRuns

runs = RunningRuns(Path(sys.argv[1]))
runs.begin("of another process", "here")
print("begun", flush=True)
sys.stdin.readline()
runs.end("of another process")
"""


@pytest.fixture
def other_process(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "begun\n"
    yield process
    process.kill()
    process.wait()


def test_a_run_is_alive_until_its_process_is_killed(tmp_path, other_process):
    runs = RunningRuns(tmp_path)
    runs.begin("own", "here")
    assert runs.killed("here") == {}
    assert runs.alive() == ["of another process", "own"]
    other_process.kill()
    other_process.wait()
    assert runs.killed("elsewhere") == {}
    assert runs.alive() == ["own"]
    (killed,) = runs.killed("here").items()
    assert killed == ("of another process", pytest.approx(time.time(), abs=60))
    runs.end("of another process")
    assert runs.killed("here") == {}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["all.lock", "own", "own.lock"]
    runs.end("own")


def test_the_file_of_a_run_has_no_password_and_its_server_is_found_all_the_same(tmp_path):
    address = "http://me:secret@tracking.org"
    runs = RunningRuns(tmp_path)
    runs.begin("own", address)
    assert (tmp_path / "own").read_text() == "http://***@tracking.org"
    RunningRuns._locks.pop(tmp_path / "own").release()
    assert [*runs.killed(address)] == ["own"]
    assert runs.killed("http://tracking.org") == {}


def test_a_run_of_another_process_is_refused_and_not_waited_for(tmp_path, other_process):
    runs = RunningRuns(tmp_path)
    sentence = "The run of another process is at work already; wait for its end, or end it."
    for _ in range(2):
        with pytest.raises(ConfigError, match=sentence):
            runs.begin("of another process", "here")
    runs.end("of another process")
    assert runs.alive() == ["of another process"]


def test_a_run_that_has_ended_leaves_nothing(tmp_path, other_process):
    other_process.communicate("\n")
    assert [path.name for path in tmp_path.iterdir()] == ["all.lock"]


ENDLESS_RUN = """
import signal
import sys
from pathlib import Path
import mlflow
from gan_pipelines.tracking import MlflowTracker

mlflow.set_tracking_uri(sys.argv[2])
mlflow.set_experiment("tests")
print(mlflow.start_run().info.run_id)
MlflowTracker(Path(sys.argv[1])).begin_run()
print("begun", flush=True)
signal.pause()
"""


def test_the_next_run_notes_the_end_of_a_killed_one_and_leaves_those_alive(tmp_path, local):
    endless = ("-c", ENDLESS_RUN, tmp_path, mlflow.get_tracking_uri())
    with Process(*endless) as killed, Process(*endless) as alive:
        for process in (killed, alive):
            process.await_text("begun")
        ids = [process.stdout.split()[0] for process in (killed, alive)]
        killed.kill()
        mlflow.start_run()
        tracker = MlflowTracker(tmp_path)
        tracker.begin_run()
        tracker.end_run("FINISHED")
        infos = [local.get_run(run_id).info for run_id in ids]
        assert [info.status for info in infos] == ["KILLED", "RUNNING"]
        assert infos[0].start_time <= infos[0].end_time <= time.time() * 1000
        alive.send_signal(signal.SIGTERM)
        alive.wait()
        assert local.get_run(ids[1]).info.status == "KILLED"
