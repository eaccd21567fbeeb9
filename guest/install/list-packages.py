"""Prints what is installed in ~/layer, as JSON: {"packages": [{"name", "version"}, ...], "modules": [...]}.

`modules` are the top-level modules of the packages that the arguments, specs, ask for; Python only.
"""

import glob
import importlib.metadata
import json
import os
import re
import sys

LAYER = os.path.expanduser("~/layer")


def python_packages():
    for distribution in distributions():
        yield distribution.name, distribution.version


def distributions():
    return importlib.metadata.distributions(path=glob.glob(f"{LAYER}/usr/local/lib/python3.*/*-packages"))


def comparable(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def python_modules(specs):
    asked = {comparable(re.match(r"[A-Za-z0-9._-]*", spec)[0]) for spec in specs}
    for distribution in distributions():
        if comparable(distribution.name) not in asked:
            continue
        for file in distribution.files or []:
            # A package has an __init__, a module is one file. What starts with an underscore is for the package itself.
            first, *rest = file.parts
            name = first if rest else re.sub(r"\.(py|cpython-[^.]*\.so|abi3\.so)$", "", first)
            is_module = not rest and name != first
            is_package = len(rest) == 1 and rest[0] == "__init__.py"
            if (is_module or is_package) and re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name) and name not in ("test", "tests"):
                yield name


def javascript_packages():
    for directory, names, _ in os.walk(f"{LAYER}/node_modules"):
        if os.path.basename(directory) == "node_modules":
            names[:] = [name for name in names if not name.startswith(".")]
            continue
        if os.path.basename(directory).startswith("@"):
            continue
        # A package: only what it brings along itself is looked at below it.
        names[:] = [name for name in names if name == "node_modules"]
        try:
            with open(f"{directory}/package.json", encoding="utf-8") as file:
                about = json.load(file)
        except (OSError, ValueError):
            continue
        yield about.get("name"), about.get("version")


found = {
    (name, version)
    for name, version in [*python_packages(), *javascript_packages()]
    if isinstance(name, str) and isinstance(version, str)
}
packages = [{"name": name, "version": version} for name, version in sorted(found)]
print(json.dumps({"packages": packages, "modules": sorted(set(python_modules(sys.argv[1:])))[:32]}))
