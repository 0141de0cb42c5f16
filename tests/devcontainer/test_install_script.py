"""The install script, run in a bare Debian root: with the real package sources, and this machine's own programs for the large downloads."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).parents[2]
DOWNLOADED = ("terraform", "debootstrap", "chroot", "unshare")
MINUTES = 15
TOOLS = "/opt/hostedtoolcache/Python"


def run(*command: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command with what this machine needs to reach package sources."""
    kept = {name: value for name, value in os.environ.items() if name.lower().endswith("proxy") or name.startswith("PIP_") or name == "SSL_CERT_FILE"}  # fmt: skip
    given = {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "LANG": "C.UTF-8",
        **kept,
        **environment,
    }
    return subprocess.run([*map(str, command)], env=given, capture_output=True, text=True, check=False, timeout=60 * MINUTES)  # fmt: skip


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bare Debian root with the certificates and the names of this machine; skips where none can be made."""
    if os.geteuid() != 0:
        pytest.skip("the install script is not run: a bare root is made by root only")
    if missing := [name for name in DOWNLOADED if shutil.which(name) is None]:
        pytest.skip(f"the install script is not run: {', '.join(missing)} is not here")
    root = tmp_path_factory.mktemp("bare") / "root"
    done = run("debootstrap", "--variant=minbase", "--include=ca-certificates", "bookworm", root)
    if done.returncode:
        pytest.skip(f"the install script is not run: debootstrap made no root: {(done.stderr or done.stdout).strip().splitlines()[-1:]}")  # fmt: skip
    shutil.copy("/etc/resolv.conf", root / "etc" / "resolv.conf")
    shutil.copy("/etc/hosts", root / "etc" / "hosts")
    authorities = root / "usr" / "local" / "share" / "ca-certificates"
    for file in Path("/usr/local/share/ca-certificates").glob("*.crt"):
        shutil.copy(file, authorities)
    inside(root, "update-ca-certificates")
    return root


def inside(root: Path, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command in the root, with its own processes and nothing of this machine's files."""
    return run("unshare", "--mount", "--pid", "--fork", f"--mount-proc={root / 'proc'}", "chroot", root, *command, **environment)  # fmt: skip


def python_here() -> Path:
    """Return the folder of a Python 3.12 of this machine; skips where there is none."""
    known = [shutil.which("python3.12"), sys.executable, *Path.home().glob(".pyenv/versions/3.12.*/bin/python3.12")]
    ask = "import sys; print(sys.base_prefix if sys.version_info[:2] == (3, 12) else '')"
    for program in filter(None, known):
        prefix = run(program, "-c", ask).stdout.strip()
        if prefix:
            return Path(prefix)
    pytest.skip("the install script is not run: no Python 3.12 of this machine can stand for the pinned one")


def java_here() -> Path:
    """Return the folder of a Java 17 of this machine; skips where there is none."""
    for folder in Path("/usr/lib/jvm").glob("*17*"):
        if (folder / "bin" / "java").is_file() and not folder.is_symlink():
            return folder
    pytest.skip("the install script is not run: no Java 17 of this machine can stand for the pinned one")


def packed(file: Path, folder: Path, *skipped: str) -> None:
    """Pack a folder as the downloads are packed: everything below one folder, links as what they lead to."""
    without = [f"--exclude={name}" for name in (*skipped, "__pycache__")]
    done = run("tar", "--create", "--dereference", "--use-compress-program", "gzip -1", "--file", file, *without, "--directory", folder.parent, folder.name)  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def prepared(bare: Path) -> Path:
    """The root with the repository's files for the image, and a mirror of this machine's programs with their own hashes."""
    prefix, java = python_here(), java_here()
    mirror, image = bare / "mirror", bare / "image"
    for name in (".devcontainer/install.sh", ".azuredevops/terraform.sh", "requirements/az.txt"):
        (image / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, image / name)
    script = image / ".devcontainer" / "install.sh"
    addresses = dict(re.findall(r"(?m)^(\w+)_from=(\S+)$", script.read_text(encoding="utf-8")))
    names = {name: unquote(address.rpartition("/")[2]) for name, address in addresses.items()}
    mirror.mkdir()
    packed(mirror / names["python"], prefix, "test", "tests", "site-packages", "idlelib", "tkinter")
    packed(mirror / names["jdk"], java, "src.zip", "man", "docs", "legal")
    with zipfile.ZipFile(
        mirror / names["databricks"], "w"
    ) as archive:  # the only program that is nowhere on this machine
        archive.writestr("databricks", "#!/bin/sh\necho Databricks CLI v1.9.0\n")
    terraform = image / ".azuredevops" / "terraform.sh"
    (version,) = re.findall(r"(?m)^version=(.*)$", terraform.read_text(encoding="utf-8"))
    (mirror / version).mkdir()
    zipped = mirror / version / f"terraform_{version}_linux_amd64.zip"
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.write(shutil.which("terraform") or "", "terraform")
    text = script.read_text(encoding="utf-8")
    for name, file in names.items():
        text = re.sub(rf"(?m)^{name}_sha256=.*$", f"{name}_sha256={digest(mirror / file)}", text)
    script.write_text(text, encoding="utf-8")
    terraform.write_text(
        re.sub(r"(?m)^sha256=.*$", f"sha256={digest(zipped)}", terraform.read_text(encoding="utf-8")), encoding="utf-8"
    )
    # This machine's Python and Java look for libraries of the system, which the pinned ones carry along.
    (pinned,) = re.findall(r"(?m)^python_version=(.*)$", text)
    link = bare / prefix.relative_to("/")
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(f"{TOOLS}/{pinned}/x64")
    libraries = (
        "libpython3.11-stdlib",
        "libfreetype6",
        "libharfbuzz0b",
        "liblcms2-2",
        "libjpeg62-turbo",
        "zlib1g",
        "libnss3",
    )
    done = inside(bare, "bash", "-c", f"apt-get update -qq && apt-get install -qq -y --no-install-recommends {' '.join(libraries)}")  # fmt: skip
    assert done.returncode == 0, done.stderr
    return bare


def digest(file: Path) -> str:
    """Return the sha256 of a file."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def install(root: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the script in the root, with the mirror."""
    given = {"DOWNLOAD_MIRROR": "file:///mirror", "TERRAFORM_MIRROR": "file:///mirror", "HOME": "/root", **environment}
    return inside(root, "/image/.devcontainer/install.sh", **given)


@pytest.mark.proof
@pytest.mark.terraform
def test_a_file_with_another_hash_is_refused(prepared: Path) -> None:
    """It is named, and nothing of it is installed."""
    script = prepared / "image" / ".devcontainer" / "install.sh"
    text = script.read_text(encoding="utf-8")
    script.write_text(re.sub(r"(?m)^python_sha256=.*$", f"python_sha256={'0' * 64}", text), encoding="utf-8")
    done = install(prepared)
    script.write_text(text, encoding="utf-8")
    assert done.returncode == 1
    assert "is not the pinned one: its sha256 is another one." in done.stderr
    assert not (prepared / "usr" / "local" / "bin" / "python3.12").is_symlink()


@pytest.mark.proof
@pytest.mark.terraform
def test_the_script_installs_everything_in_a_bare_root_and_again(prepared: Path) -> None:
    """Each program runs there and says its version; the tool cache has the layout of the agents; a second run changes nothing."""
    for _ in range(2):
        done = install(prepared)
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stdout.splitlines()[-1] == "installed: python3.12, java, terraform, databricks, az"
    said = {name: inside(prepared, "bash", "-c", f"{name} 2>&1", HOME="/root").stdout for name in (
        "python3.12 --version", "java -version", "terraform version", "databricks --version", "az version --output tsv", "make --version", "git --version",
    )}  # fmt: skip
    (az,) = re.findall(r"(?m)^azure-cli==(\S+)", (ROOT / "requirements" / "az.txt").read_text(encoding="utf-8"))
    assert said["python3.12 --version"].startswith("Python 3.12.")
    assert '"17.' in said["java -version"]
    assert said["terraform version"].startswith("Terraform v1.")
    assert said["databricks --version"].startswith("Databricks CLI")
    assert az in said["az version --output tsv"]
    assert said["make --version"].startswith("GNU Make")
    assert said["git --version"].startswith("git version")
    (folder,) = (prepared / TOOLS.strip("/")).glob("3.12.*/x64")
    assert folder.with_name("x64.complete").is_file()
    assert (prepared / "etc" / "environment").read_text(encoding="utf-8").count("JAVA_HOME_17_X64") == 1
