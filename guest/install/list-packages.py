"""Prints what is installed in ~/layer: a JSON array of {"name", "version"}, in order."""

import glob
import importlib.metadata
import json
import os

LAYER = os.path.expanduser("~/layer")


def python_packages():
    paths = glob.glob(f"{LAYER}/usr/local/lib/python3.*/*-packages")
    for distribution in importlib.metadata.distributions(path=paths):
        yield distribution.name, distribution.version


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
print(json.dumps([{"name": name, "version": version} for name, version in sorted(found)]))
