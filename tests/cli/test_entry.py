"""The command in an environment that has only what a client needs."""

import subprocess
import sys


def test_a_client_only_install_is_told_what_the_command_needs():
    code = "import sys\nsys.modules['typer'] = None\nfrom services.cli.entry import main\nmain()\n"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == "imcnas: the command needs typer; run: pip install 'imcnas[all]'\n"
