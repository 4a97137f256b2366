"""Takes files out of a wheel or a tarball.

usage: unpack.py ARCHIVE MEMBER TARGET | unpack.py ARCHIVE FOLDER/ TARGET

A MEMBER that ends in a slash stands for all that is below it.
"""

import pathlib
import shutil
import sys
import tarfile
import zipfile


def members(archive):
    """Pairs of a name and a function that opens the file of that name."""
    if zipfile.is_zipfile(archive):
        opened = zipfile.ZipFile(archive)
        for info in opened.infolist():
            if not info.is_dir():
                yield info.filename, lambda info=info: opened.open(info)
    else:
        opened = tarfile.open(archive)
        for info in opened.getmembers():
            if info.isfile():
                yield info.name, lambda info=info: opened.extractfile(info)


archive, wanted, target = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
found = False
for name, read in members(archive):
    if wanted.endswith("/") and name.startswith(wanted) and ".." not in name:
        path = target / name[len(wanted):]
    elif name == wanted:
        path = target
    else:
        continue
    found = True
    path.parent.mkdir(parents=True, exist_ok=True)
    with read() as source, open(path, "wb") as out:
        shutil.copyfileobj(source, out)
if not found:
    sys.exit(f"{archive} has no {wanted}")
