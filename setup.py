"""The packages and where they lie: in three source roots, which setup.cfg has no words for. All else stands there."""

from setuptools import find_packages, setup

from setup_editable import ROOTS

setup(
    package_dir={name: f"{root}/{name}" for name, root in ROOTS.items()},
    packages=[found for name, root in ROOTS.items() for found in find_packages(root, include=[name, f"{name}.*"])],
)
