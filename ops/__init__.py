"""What `manage.py` does, with the standard library only.

It runs before anything is installed, so no module here may import a package that
pip installs, nor `database`, `mqttworker` or `webapp`, which need such packages.
"""
