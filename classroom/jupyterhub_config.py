"""JupyterHub's settings for a class of this course on one server: docs/classroom.md says how to use them.

    AWAITSEE_CLASS_PASSWORD=... jupyterhub -f classroom/jupyterhub_config.py

AWAITSEE_CLASS_PASSWORD   what learners log in with, 8 characters or more; there is no default
AWAITSEE_CLASS_LIST       a file with the learners' names, one a line; without it any name will do
AWAITSEE_CLASS_TEACHER    a name that may see and stop everybody's servers at /hub/admin
AWAITSEE_CLASS_TEACHER_PASSWORD    what that name logs in with, 32 characters or more
AWAITSEE_CLASS_SPAWNER    one-account (default), accounts or systemd: who is kept apart, and what is limited
AWAITSEE_CLASS_FOLDER     where the hub and, with one-account, the learners' folders are; ~/awaitsee-class if not given
AWAITSEE_CLASS_IP, AWAITSEE_CLASS_PORT     where the class connects; 127.0.0.1 and 8000 if not given
AWAITSEE_CLASS_CERT, AWAITSEE_CLASS_KEY    the files of a TLS certificate and its key
AWAITSEE_CLASS_PLAIN_HTTP=1                be reachable from outside without a certificate all the same
AWAITSEE_CLASS_AS_ROOT=1  let one-account run as root, in a container that holds nothing else
AWAITSEE_CLASS_AT_ONCE    how many learners may have a server at the same time; no limit if not given
AWAITSEE_CLASS_MEMORY, AWAITSEE_CLASS_CORES     limits of one learner with systemd; 2G and 2 if not given

With accounts and systemd the learners log in with their own passwords of this machine, and the first one is not used.
"""

import os
import re
import shutil
import sys
from pathlib import Path

c = get_config()  # type: ignore[name-defined]  # noqa: F821  # JupyterHub provides it

COURSE = Path(__file__).resolve().parents[1]
NAME = r"[a-z][a-z0-9._-]{0,31}"  # safe as the name of a folder and of an account
SPAWNERS = {"one-account": "simple", "accounts": "jupyterhub.spawner.LocalProcessSpawner", "systemd": "systemd"}


def given(name: str, default: str = "") -> str:
    """Return a setting of the class."""
    return os.environ.get(f"AWAITSEE_CLASS_{name}", "").strip() or default


def number(name: str, default: str) -> float:
    """Return a setting that is a positive number. Ends the hub if it is none."""
    try:
        value = float(given(name, default))
    except ValueError:
        value = -1.0
    if value <= 0:
        sys.exit(f"AWAITSEE_CLASS_{name} is {given(name)}: give a number above 0.")
    return value


def class_list(file: Path) -> set[str]:
    """Return the names of a class list. Ends the hub if it cannot be read or holds something else."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        sys.exit(f"The class list {file} cannot be read ({error.strerror}): correct AWAITSEE_CLASS_LIST.")
    names = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    for name in names:
        if not re.fullmatch(NAME, name):
            sys.exit(
                f"The class list has {name!r}: a name is up to 32 small letters, digits, dots, underscores or hyphens, "
                "beginning with a letter."
            )
        if names.count(name) > 1:
            sys.exit(f"The class list has {name!r} twice: two learners of one name would share one folder.")
    if not names:
        sys.exit(f"The class list {file} is empty: write one name a line, or leave AWAITSEE_CLASS_LIST out.")
    return set(names)


# --- Who gets in ------------------------------------------------------------------------------------

spawner = given("SPAWNER", "one-account")
if spawner not in SPAWNERS:
    sys.exit(f"AWAITSEE_CLASS_SPAWNER is {spawner}: choose {', '.join(SPAWNERS)}.")
alone = spawner == "one-account"
if alone and os.geteuid() == 0 and given("AS_ROOT") != "1":
    sys.exit(
        "With one-account every learner runs as the account of the hub, and this one is root: make an account for the "
        "class and run the hub as that (or set AWAITSEE_CLASS_AS_ROOT=1 in a container that holds nothing else)."
    )
if not alone and os.geteuid() != 0:
    sys.exit(f"With AWAITSEE_CLASS_SPAWNER={spawner} the hub starts servers for other accounts: run it as root.")

teacher = given("TEACHER")
if alone:
    c.JupyterHub.authenticator_class = "shared-password"
    password, teachers = given("PASSWORD"), given("TEACHER_PASSWORD")
    if len(password) < 8:
        sys.exit("There is no password for the class: set AWAITSEE_CLASS_PASSWORD to 8 characters or more.")
    if bool(teacher) != bool(teachers):
        sys.exit("Set AWAITSEE_CLASS_TEACHER and AWAITSEE_CLASS_TEACHER_PASSWORD together, or neither.")
    if teachers and (len(teachers) < 32 or teachers == password):
        sys.exit("AWAITSEE_CLASS_TEACHER_PASSWORD is too weak: give 32 characters or more (openssl rand -hex 20).")
    c.SharedPasswordAuthenticator.user_password = password
    c.SharedPasswordAuthenticator.admin_password = teachers or None
else:
    c.JupyterHub.authenticator_class = "pam"

c.Authenticator.username_pattern = NAME
c.Authenticator.admin_users = {teacher} if teacher else set()
if given("LIST"):
    c.Authenticator.allowed_users = class_list(Path(given("LIST")).expanduser())
else:
    c.Authenticator.allow_all = True

# --- Where it listens -------------------------------------------------------------------------------

ip, port = given("IP", "127.0.0.1"), int(number("PORT", "8000"))
certificate, key = given("CERT"), given("KEY")
if bool(certificate) != bool(key):
    sys.exit("Set AWAITSEE_CLASS_CERT and AWAITSEE_CLASS_KEY together, or neither.")
if ip not in ("127.0.0.1", "::1", "localhost") and not certificate and given("PLAIN_HTTP") != "1":
    sys.exit(
        f"At {ip} the password would cross the network unencrypted: set AWAITSEE_CLASS_CERT and AWAITSEE_CLASS_KEY, or "
        "leave AWAITSEE_CLASS_IP out and put a web server with TLS in front (or set AWAITSEE_CLASS_PLAIN_HTTP=1)."
    )
c.JupyterHub.bind_url = f"{'https' if certificate else 'http'}://{f'[{ip}]' if ':' in ip else ip}:{port}"
c.JupyterHub.ssl_cert, c.JupyterHub.ssl_key = certificate, key
c.JupyterHub.hub_ip = "127.0.0.1"
c.JupyterHub.hub_port = port + 1
c.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{port + 2}"

folder = Path(given("FOLDER", "~/awaitsee-class")).expanduser().resolve()
proxy = shutil.which("configurable-http-proxy") or folder / "node_modules" / ".bin" / "configurable-http-proxy"
if not Path(proxy).exists():
    sys.exit(
        "configurable-http-proxy is not there: install Node.js, then run "
        f"npm install --prefix {folder} configurable-http-proxy@5.3.0"
    )
c.ConfigurableHTTPProxy.command = [str(proxy)]

# --- What the hub keeps -----------------------------------------------------------------------------

kept = folder / "hub"
kept.mkdir(parents=True, exist_ok=True)
kept.chmod(0o700)
c.JupyterHub.cookie_secret_file = str(kept / "cookie_secret")
c.JupyterHub.db_url = f"sqlite:///{kept / 'hub.sqlite'}"
c.ConfigurableHTTPProxy.pid_file = str(kept / "proxy.pid")

# --- A learner's server -----------------------------------------------------------------------------

python = COURSE / ".venv" / "bin" / "python"
if not python.exists():
    sys.exit(f"The course is not set up: run `make .venv` in {COURSE} first.")
if not alone:
    closed = [part for part in (COURSE, *COURSE.parents, *python.resolve().parents) if not part.stat().st_mode & 0o001]
    if closed:
        sys.exit(
            f"The learners' accounts may not look into {closed[0]}: put the course where everybody may read it, such "
            "as /srv, and make its .venv with a Python that is not in somebody's home folder."
        )
c.JupyterHub.spawner_class = SPAWNERS[spawner]
c.Spawner.cmd = [str(python), str(COURSE / "classroom" / "learner.py")]
c.Spawner.notebook_dir = "~/my"
c.Spawner.default_url = "/lab/tree/notebooks/00_start_here.ipynb"
# When everybody starts at once, the last one waits for the others.
c.Spawner.start_timeout = c.Spawner.http_timeout = 180
# Nothing of the hub's own variables, the passwords above all, goes to a learner.
c.Spawner.env_keep = ["LANG", "LC_ALL"]
c.Spawner.environment = {
    "PATH": f"{python.parent}:/usr/local/bin:/usr/bin:/bin",
    # Many kernels share the cores: one thread each takes no more processor time, and less memory.
    "OMP_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "2",
}
c.SimpleLocalProcessSpawner.home_dir_template = str(folder / "learners" / "{username}")
c.JupyterHub.active_server_limit = int(number("AT_ONCE", "1")) if given("AT_ONCE") else 0

if spawner == "systemd":
    # Only systemd enforces these: the two others would accept and ignore them.
    c.Spawner.mem_limit = given("MEMORY", "2G")
    c.Spawner.cpu_limit = number("CORES", "2")
    c.SystemdSpawner.isolate_tmp = c.SystemdSpawner.isolate_devices = c.SystemdSpawner.disable_user_sudo = True
    c.SystemdSpawner.readonly_paths = [str(COURSE)]

# --- Servers that nobody uses -----------------------------------------------------------------------

c.JupyterHub.load_roles = [
    {
        "name": "culler",
        "scopes": ["list:users", "read:users:activity", "read:servers", "delete:servers"],
        "services": ["culler"],
    }
]
c.JupyterHub.services = [
    {
        "name": "culler",
        "command": [sys.executable, "-m", "jupyterhub_idle_culler", "--timeout=3600", "--cull-every=300"],
    }
]
