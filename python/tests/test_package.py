"""The package as pip installs it: the command, the stubs, threads."""

import ast
import os
import shutil
import subprocess
import sys
import sysconfig
import threading
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np

import cleanloop

COMMAND = os.path.join(sysconfig.get_path("scripts"), "cleanloop")


def run(*words, **more):
    return subprocess.run([COMMAND, *words], capture_output=True, text=True, **more)


def test_the_command_is_there():
    done = run("--version")
    assert done.returncode == 0 and done.stdout.strip() == f"cleanloop {cleanloop.__version__}"
    assert version("cleanloop") == cleanloop.__version__
    again = subprocess.run([sys.executable, "-m", "cleanloop", "--version"], capture_output=True, text=True)
    assert again.stdout == done.stdout


def test_exit_codes_and_messages_are_the_programs(tmp_path):
    done = run("mask", "nothing.fits", cwd=tmp_path)
    assert done.returncode == 2 and done.stderr.startswith("error: nothing.fits:")
    assert run("no-such-command").returncode == 2


def test_ctrl_c_ends_the_command(tmp_path):
    from astropy.io import fits

    random = np.random.default_rng(2)
    fits.writeto(tmp_path / "x.fits", random.normal(size=(3000, 3000)).astype(np.float32))
    words = [COMMAND, "noise", "x.fits", "--method", "box", "--exact", "--box", "301"]
    process = subprocess.Popen(words, cwd=tmp_path, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    time.sleep(1.5)
    assert process.poll() is None, "it was done before it could be stopped"
    process.send_signal(2)
    assert process.wait(timeout=20) != 0


def test_the_interpreter_is_free_while_rust_works():
    image = np.random.default_rng(3).normal(size=(400, 400)).astype(np.float32)
    ticks = []
    stop = threading.Event()

    def tick():
        while not stop.is_set():
            ticks.append(1)
            time.sleep(0.001)

    thread = threading.Thread(target=tick)
    thread.start()
    before = len(ticks)
    cleanloop.noise(image, method="box", box=41, exact=True)
    during = len(ticks) - before
    stop.set()
    thread.join()
    assert during > 5


def test_an_array_that_fits_is_not_copied():
    # 64 MB: a copy would show.
    image = np.zeros((4096, 4096), np.float32)
    image[::7, ::5] = 1
    # Forget the greatest size so far.
    Path("/proc/self/clear_refs").write_text("5")
    with open("/proc/self/status") as status:
        before = next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
    background, rms = cleanloop.noise(image, method="global", statistic="std")
    with open("/proc/self/status") as status:
        after = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    del background, rms
    # Two maps of the same size come out; nothing else of that size may appear.
    assert after - before < 2.6 * image.nbytes / 1024


def test_the_stubs_are_true():
    # The stubs name what is there, with the same arguments, and nothing else.
    stubtest = shutil.which("stubtest", path=sysconfig.get_path("scripts"))
    assert stubtest, "mypy is among the tests' requirements"
    done = subprocess.run([stubtest, "cleanloop._core"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_option_names_of_the_stubs_are_those_of_the_program():
    stub = ast.parse((Path(cleanloop.__file__).parent / "types.py").read_text())
    classes = {node.name: node for node in stub.body if isinstance(node, ast.ClassDef)}
    fields = lambda name: [n.target.id for n in classes[name].body if isinstance(n, ast.AnnAssign)]
    image = np.zeros((9, 9), np.float32)
    calls = {
        "MaskingOptions": lambda **o: cleanloop.mask(image, **o),
        "NoiseOptions": lambda **o: cleanloop.noise(image, **o),
        "MultithreshOptions": lambda **o: cleanloop.automask_plane(image, 3.0, 0.1, **o),
        "AutoMaskOptions": lambda **o: cleanloop.automatic_mask(image, **o),
        "TidyOptions": lambda **o: cleanloop.combine([image], **o),
        "ConfettiOptions": lambda **o: cleanloop.confetti(image[None], 1.0, 3.0, **o),
    }
    for name, call in calls.items():
        try:
            call(no_option_is_called_so=1)
        except TypeError as error:
            listed = str(error).split("the options are ")[1].split(", ")
        assert fields(name) == listed, name
