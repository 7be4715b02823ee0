"""``python -m tools.materials DIST``: completes the bill of materials of a release, in place.

``DIST/sbom.cdx.json`` comes from a list of pinned packages, ``DIST/requirements.txt``. Which release rests on them,
which of them is there for which, and the libraries that the wheel has copies of, are added here (CycloneDX 1.6).
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

from tools.runtime import CHECKOUT, blocks, normal, users

VENDORED = CHECKOUT / "analysis" / "report" / "vendor" / "SHA256SUMS"


def vendored(sums: str) -> list[dict[str, Any]]:
    """Return the libraries of a list of checksums, which has ``# NAME VERSION LICENCE`` above the files of each."""
    return [
        {
            "type": "library",
            "bom-ref": f"pkg:npm/{name}@{version}",
            "name": name,
            "version": version,
            "purl": f"pkg:npm/{name}@{version}",
            "licenses": [{"license": {"id": licence}}],
            "components": [
                {"type": "file", "name": file, "hashes": [{"alg": "SHA-256", "content": digest}]}
                for digest, file in re.findall(r"^(\w+)  (.+)$", files, re.MULTILINE)
            ],
        }
        for name, version, licence, files in re.findall(r"^# (\S+) (\d\S*) (\S+)\n((?:\w.*\n)+)", sums, re.MULTILINE)
    ]


def completed(bill: dict[str, Any], version: str, lock: str, sums: str) -> dict[str, Any]:
    """Return the bill of that version, with the libraries of these checksums, and what is there for what."""
    root = bill["metadata"]["component"]
    root |= {"version": version, "purl": f"pkg:pypi/{root['name']}@{version}"}
    packages = {normal(one["name"]): one["bom-ref"] for one in bill["components"]}
    by = {packages[name]: users(block) for name, block in blocks(lock).items()}
    inside = vendored(sums)
    by |= {one["bom-ref"]: {root["name"]} for one in inside}
    edges = [
        {"ref": ref, "dependsOn": sorted(used for used, its in by.items() if name in its)}
        for name, ref in {root["name"]: root["bom-ref"], **packages}.items()
    ]
    leaves = [{"ref": one["bom-ref"]} for one in inside]
    return bill | {"components": bill["components"] + inside, "dependencies": edges + leaves}


def main(folder: str) -> None:
    """Complete the one in that folder, whose wheel says the version."""
    dist = Path(folder)
    [wheel] = dist.glob("*.whl")
    version = wheel.name.split("-")[1]
    path = dist / "sbom.cdx.json"
    lock = (dist / "requirements.txt").read_text(encoding="utf-8")
    bill = completed(json.loads(path.read_text(encoding="utf-8")), version, lock, VENDORED.read_text(encoding="utf-8"))
    path.write_text(json.dumps(bill, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
