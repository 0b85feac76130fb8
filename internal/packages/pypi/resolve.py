"""Resolves requirements with pip to the newest versions that fit together.

pip accepts only wheels and installs nothing, so no code of a package runs.
"""

import json
import os
import sys

sys.path.insert(0, "/pyth-on/pip")

from pip._internal.cli.main import main
from pip._vendor.packaging.requirements import Requirement
from pip._vendor.packaging.utils import canonicalize_name

with open("job.json") as f:
    job = json.load(f)
with open("constraints.txt", "w") as f:
    f.write("\n".join(job["constraints"]))
status = main([
    "install", "--dry-run", "--ignore-installed", "--target=target", "--only-binary=:all:", "--isolated",
    "--no-input", "--no-color", "--no-cache-dir", "--progress-bar=off",
    "--disable-pip-version-check", "--root-user-action=ignore",
    "--retries=1", "--timeout=60", "--report=report.json", "--constraint=constraints.txt",
    "--proxy", os.environ["HTTP_PROXY"], "--trusted-host", job["host"],
    "--index-url", f"http://{job['host']}/simple/",
    "--", *job["requirements"],
])
if status:
    sys.exit(status)
with open("report.json") as f:
    found = json.load(f)["install"]

packages = {canonicalize_name(item["metadata"]["name"]): item for item in found}
extras = {name: set(item.get("requested_extras", ())) for name, item in packages.items()}
requires = {name: set() for name in packages}
changed = True
while changed:
    # Repeat this loop until the result no longer changes, because an extra of one
    # package can require extras of other packages.
    changed = False
    for name, item in packages.items():
        for text in item["metadata"].get("requires_dist", ()):
            need = Requirement(text)
            wanted = canonicalize_name(need.name)
            if wanted not in packages:
                continue
            if need.marker and not any(need.marker.evaluate({"extra": e}) for e in ("", *extras[name])):
                continue
            if wanted not in requires[name] or not need.extras <= extras[wanted]:
                requires[name].add(wanted)
                extras[wanted] |= need.extras
                changed = True
with open("result.json", "w") as f:
    json.dump([
        {"url": item["download_info"]["url"], "requires": sorted(requires[name])}
        for name, item in sorted(packages.items())
    ], f)
