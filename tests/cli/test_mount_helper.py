"""The form in which mount(8) and fstab call rvfs."""

import pytest

from rvfs.cli.mount import as_command


@pytest.mark.parametrize(
    ("called", "means"),
    [
        ("rvfs /mnt -o rw,dev", "mount --fsname rvfs -o rw,dev /mnt"),
        ("inject /mnt", "mount --source inject --fsname inject /mnt"),
        ("replay:/a /mnt -o ro", "mount --source replay:/a --fsname replay:/a -o ro /mnt"),
        ("sim /mnt -s -n -v -o rw", "mount --source sim --fsname sim -o rw /mnt"),
        ("mount /mnt -f", "mount /mnt -f"),
        ("check -v a.txt", "check -v a.txt"),
        ("list", "list"),
    ],
)  # fmt: skip
def test_a_source_and_a_folder_are_a_mount(called: str, means: str) -> None:
    assert list(as_command(called.split())) == means.split()
